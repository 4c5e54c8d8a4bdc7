// The transforms of Winograd's minimal filtering (winograd_kernel.h) along one side of a square, and along both.
//
// The sums over a kernel's side are taken as a product of polynomials, by its values at as many points as a tile's side
// has inputs: for kernels of 3 at 0, 1, -1, 2, -2 and infinity; for those of 5 (winograd_five.h) at 1/2 and -1/2, too.
// Squares are rows of packets, whose lanes are channels.
#pragma once

#include "worker/nn/kernels/packet.h"

namespace samovar::winograd {

inline Packet Sub(const Packet& a, const Packet& b) { return Eigen::internal::psub(a, b); }
inline Packet Times(float factor, const Packet& a) { return Mul(Broadcast(factor), a); }
// a + factor * b
inline Packet Plus(const Packet& a, float factor, const Packet& b) { return MulAdd(Broadcast(factor), b, a); }

// Kernels of 3, tiles of 4 outputs, of 6 inputs. Each is one side of B' d B, G g G', A' m A or an adjoint of these: x
// and y are `step` and `to` packets apart.
struct Three {
  struct Input {
    static constexpr int kFrom = 6, kTo = 6;
    static void Apply(const Packet* x, int step, Packet* y, int to) {
      const Packet even = Plus(x[4 * step], -4, x[2 * step]);
      const Packet odd = Plus(x[3 * step], -4, x[step]);
      const Packet even2 = Sub(x[4 * step], x[2 * step]);
      const Packet odd2 = Sub(x[3 * step], x[step]);
      y[0] = Plus(Plus(x[4 * step], -5, x[2 * step]), 4, x[0]);
      y[to] = Add(even, odd);
      y[2 * to] = Sub(even, odd);
      y[3 * to] = Plus(even2, 2, odd2);
      y[4 * to] = Plus(even2, -2, odd2);
      y[5 * to] = Plus(Plus(x[5 * step], -5, x[3 * step]), 4, x[step]);
    }
  };
  struct Weight {
    static constexpr int kFrom = 3, kTo = 6;
    static void Apply(const Packet* x, int step, Packet* y, int to) {
      const Packet outer = Times(-1.0f / 6, Add(x[0], x[2 * step]));
      const Packet wide = Plus(Times(1.0f / 24, x[0]), 1.0f / 6, x[2 * step]);
      y[0] = Times(0.25f, x[0]);
      y[to] = Plus(outer, -1.0f / 6, x[step]);
      y[2 * to] = Plus(outer, 1.0f / 6, x[step]);
      y[3 * to] = Plus(wide, 1.0f / 12, x[step]);
      y[4 * to] = Plus(wide, -1.0f / 12, x[step]);
      y[5 * to] = x[2 * step];
    }
  };
  struct WeightGradient {
    static constexpr int kFrom = 6, kTo = 3;
    static void Apply(const Packet* x, int step, Packet* y, int to) {
      const Packet near = Add(x[step], x[2 * step]);
      const Packet far = Add(x[3 * step], x[4 * step]);
      y[0] = Plus(Plus(Times(0.25f, x[0]), -1.0f / 6, near), 1.0f / 24, far);
      y[to] = Plus(Times(1.0f / 6, Sub(x[2 * step], x[step])), 1.0f / 12, Sub(x[3 * step], x[4 * step]));
      y[2 * to] = Plus(x[5 * step], 1.0f / 6, Sub(far, near));
    }
  };
  struct Output {
    static constexpr int kFrom = 6, kTo = 4;
    static void Apply(const Packet* x, int step, Packet* y, int to) {
      const Packet near = Add(x[step], x[2 * step]);
      const Packet near_odd = Sub(x[step], x[2 * step]);
      const Packet far = Add(x[3 * step], x[4 * step]);
      const Packet far_odd = Sub(x[3 * step], x[4 * step]);
      y[0] = Add(Add(x[0], near), far);
      y[to] = Plus(near_odd, 2, far_odd);
      y[2 * to] = Plus(near, 4, far);
      y[3 * to] = Plus(Add(near_odd, x[5 * step]), 8, far_odd);
    }
  };
  struct Diff {
    static constexpr int kFrom = 4, kTo = 6;
    static void Apply(const Packet* x, int step, Packet* y, int to) {
      const Packet even = Add(x[0], x[2 * step]);
      const Packet odd = Add(x[step], x[3 * step]);
      const Packet even2 = Plus(x[0], 4, x[2 * step]);
      const Packet odd2 = Plus(Times(2, x[step]), 8, x[3 * step]);
      y[0] = x[0];
      y[to] = Add(even, odd);
      y[2 * to] = Sub(even, odd);
      y[3 * to] = Add(even2, odd2);
      y[4 * to] = Sub(even2, odd2);
      y[5 * to] = x[3 * step];
    }
  };
};

// Both sides: from [kFrom, kFrom] to [kTo, kTo].
template <typename Side>
inline void Transform(const Packet* from, Packet* to) {
  Packet half[Side::kTo * Side::kFrom];
#pragma GCC unroll 8
  for (int j = 0; j < Side::kFrom; ++j) Side::Apply(from + j, Side::kFrom, half + j, Side::kFrom);
#pragma GCC unroll 8
  for (int i = 0; i < Side::kTo; ++i) Side::Apply(half + i * Side::kFrom, 1, to + i * Side::kTo, 1);
}

}  // namespace samovar::winograd
