// The transforms of winograd_sides.h for kernels of 5.
#pragma once

#include "worker/nn/kernels/winograd_sides.h"

namespace samovar::winograd {

// Tiles of 4 outputs, of 8 inputs. Points: 0, 1, -1, 2, -2, 1/2, -1/2 and infinity.
struct Five {
  struct Input {
    static constexpr int kFrom = 8, kTo = 8;
    static void Apply(const Packet* x, int step, Packet* y, int to) {
      const Packet even = Plus(Add(x[2 * step], x[6 * step]), -4.25f, x[4 * step]);
      const Packet odd = Plus(Add(x[step], x[5 * step]), -4.25f, x[3 * step]);
      const Packet even2 = Plus(Plus(x[6 * step], 0.25f, x[2 * step]), -1.25f, x[4 * step]);
      const Packet odd2 = Plus(Plus(Times(0.5f, x[step]), -2.5f, x[3 * step]), 2, x[5 * step]);
      const Packet even3 = Plus(Plus(x[6 * step], 4, x[2 * step]), -5, x[4 * step]);
      const Packet odd3 = Plus(Plus(Times(2, x[step]), -2.5f, x[3 * step]), 0.5f, x[5 * step]);
      y[0] = Plus(Sub(x[0], x[6 * step]), 5.25f, Sub(x[4 * step], x[2 * step]));
      y[to] = Add(even, odd);
      y[2 * to] = Sub(even, odd);
      y[3 * to] = Add(even2, odd2);
      y[4 * to] = Sub(even2, odd2);
      y[5 * to] = Add(even3, odd3);
      y[6 * to] = Sub(even3, odd3);
      y[7 * to] = Plus(Sub(x[7 * step], x[step]), 5.25f, Sub(x[3 * step], x[5 * step]));
    }
  };
  struct Weight {
    static constexpr int kFrom = 5, kTo = 8;
    static void Apply(const Packet* x, int step, Packet* y, int to) {
      const Packet even = Add(Add(x[0], x[2 * step]), x[4 * step]);
      const Packet odd = Add(x[step], x[3 * step]);
      const Packet even2 = Plus(Plus(x[0], 4, x[2 * step]), 16, x[4 * step]);
      const Packet odd2 = Plus(Times(2, x[step]), 8, x[3 * step]);
      const Packet even3 = Plus(Plus(x[0], 0.25f, x[2 * step]), 1.0f / 16, x[4 * step]);
      const Packet odd3 = Plus(Times(0.5f, x[step]), 0.125f, x[3 * step]);
      y[0] = x[0];
      y[to] = Times(-2.0f / 9, Add(even, odd));
      y[2 * to] = Times(-2.0f / 9, Sub(even, odd));
      y[3 * to] = Times(1.0f / 90, Add(even2, odd2));
      y[4 * to] = Times(1.0f / 90, Sub(even2, odd2));
      y[5 * to] = Times(32.0f / 45, Add(even3, odd3));
      y[6 * to] = Times(32.0f / 45, Sub(even3, odd3));
      y[7 * to] = x[4 * step];
    }
  };
  struct WeightGradient {
    static constexpr int kFrom = 8, kTo = 5;
    static void Apply(const Packet* x, int step, Packet* y, int to) {
      const Packet near = Times(-2.0f / 9, Add(x[step], x[2 * step]));
      const Packet near_odd = Times(-2.0f / 9, Sub(x[step], x[2 * step]));
      const Packet far = Times(1.0f / 90, Add(x[3 * step], x[4 * step]));
      const Packet far_odd = Times(1.0f / 90, Sub(x[3 * step], x[4 * step]));
      const Packet half = Times(32.0f / 45, Add(x[5 * step], x[6 * step]));
      const Packet half_odd = Times(32.0f / 45, Sub(x[5 * step], x[6 * step]));
      y[0] = Add(Add(Add(x[0], near), far), half);
      y[to] = Plus(Plus(near_odd, 2, far_odd), 0.5f, half_odd);
      y[2 * to] = Plus(Plus(near, 4, far), 0.25f, half);
      y[3 * to] = Plus(Plus(near_odd, 8, far_odd), 0.125f, half_odd);
      y[4 * to] = Plus(Plus(Add(near, x[7 * step]), 16, far), 1.0f / 16, half);
    }
  };
  struct Output {
    static constexpr int kFrom = 8, kTo = 4;
    static void Apply(const Packet* x, int step, Packet* y, int to) {
      const Packet near = Add(x[step], x[2 * step]);
      const Packet near_odd = Sub(x[step], x[2 * step]);
      const Packet far = Add(x[3 * step], x[4 * step]);
      const Packet far_odd = Sub(x[3 * step], x[4 * step]);
      const Packet half = Add(x[5 * step], x[6 * step]);
      const Packet half_odd = Sub(x[5 * step], x[6 * step]);
      y[0] = Add(Add(x[0], near), Add(far, half));
      y[to] = Plus(Plus(near_odd, 2, far_odd), 0.5f, half_odd);
      y[2 * to] = Plus(Plus(near, 4, far), 0.25f, half);
      y[3 * to] = Plus(Plus(Add(near_odd, x[7 * step]), 8, far_odd), 0.125f, half_odd);
    }
  };
  struct Diff {
    static constexpr int kFrom = 4, kTo = 8;
    static void Apply(const Packet* x, int step, Packet* y, int to) {
      const Packet even = Add(x[0], x[2 * step]);
      const Packet odd = Add(x[step], x[3 * step]);
      const Packet even2 = Plus(x[0], 4, x[2 * step]);
      const Packet odd2 = Plus(Times(2, x[step]), 8, x[3 * step]);
      const Packet even3 = Plus(x[0], 0.25f, x[2 * step]);
      const Packet odd3 = Plus(Times(0.5f, x[step]), 0.125f, x[3 * step]);
      y[0] = x[0];
      y[to] = Add(even, odd);
      y[2 * to] = Sub(even, odd);
      y[3 * to] = Add(even2, odd2);
      y[4 * to] = Sub(even2, odd2);
      y[5 * to] = Add(even3, odd3);
      y[6 * to] = Sub(even3, odd3);
      y[7 * to] = x[3 * step];
    }
  };
};

}  // namespace samovar::winograd
