// exp and log of packets: the same bits on every machine of one instruction set level, since they are made of
// additions, multiplications and shifts alone. Within a unit in the last place or two of the true values: the tests
// say how many.
//
// The polynomials are those of the Cephes library (expf, logf), as in Eigen. What Eigen does beyond is left out here:
// results below the smallest normal number are 0, and powers of two are added to the exponent's bits.
#pragma once

#include <cfloat>
#include <limits>

#include "worker/nn/kernels/packet.h"

namespace samovar {

template <typename P>
inline auto BitsOf(const P& p) {
  return Eigen::internal::preinterpret<typename Eigen::internal::unpacket_traits<P>::integer_packet>(p);
}
using IntPacket = decltype(BitsOf(Broadcast(0)));

inline Packet OfBits(const IntPacket& bits) { return Eigen::internal::preinterpret<Packet>(bits); }
inline IntPacket BroadcastInt(int32_t i) { return Eigen::internal::pset1<IntPacket>(i); }
inline Packet Sub(const Packet& a, const Packet& b) { return Eigen::internal::psub(a, b); }

// ((c[0] x + c[1]) x + ...) x + c[n - 1]
template <int n>
inline Packet Polynomial(const Packet& x, const float (&c)[n]) {
  Packet sum = Broadcast(c[0]);
#pragma GCC unroll 9
  for (int i = 1; i < n; ++i) sum = MulAdd(sum, x, Broadcast(c[i]));
  return sum;
}

// exp(x); infinity above log(FLT_MAX), 0 below log(FLT_MIN), NaN of NaN.
inline Packet PacketExp(const Packet& x) {
  constexpr float kCoefficients[] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                                     4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
  constexpr float kLog2OfE = 1.44269504088896341f;
  // log(2) in two parts, the first of which has few bits, so that its products are exact.
  constexpr float kLog2 = 0.693359375f, kLog2Rest = -2.12194440e-4f;
  // Added to a number of magnitude below 2^22, leaves its whole part in the lowest bits.
  constexpr float kRound = 12582912.0f;
  const Packet shifted = MulAdd(x, Broadcast(kLog2OfE), Broadcast(kRound));
  const Packet n = Sub(shifted, Broadcast(kRound));
  const Packet r = MulAdd(n, Broadcast(-kLog2Rest), MulAdd(n, Broadcast(-kLog2), x));
  const Packet power = Add(MulAdd(Polynomial(r, kCoefficients), Mul(r, r), r), Broadcast(1));
  const Packet y =
      OfBits(Eigen::internal::padd(BitsOf(power), Eigen::internal::plogical_shift_left<23>(BitsOf(shifted))));
  const Packet not_large = Select(Less(Broadcast(88.722839f), x), Broadcast(std::numeric_limits<float>::infinity()), y);
  return Select(Less(x, Broadcast(-87.336544f)), Broadcast(0), not_large);
}

// log(1 + f) + n log(2), for 1 + f from sqrt(1/2) to sqrt(2).
inline Packet PacketLogOfParts(const Packet& f, const Packet& n) {
  constexpr float kCoefficients[] = {7.0376836292e-2f,  -1.1514610310e-1f, 1.1676998740e-1f,
                                     -1.2420140846e-1f, 1.4249322787e-1f,  -1.6668057665e-1f,
                                     2.0000714765e-1f,  -2.4999993993e-1f, 3.3333331174e-1f};
  constexpr float kLog2 = 0.693147180559945309f;
  const Packet square = Mul(f, f);
  const Packet rest = MulAdd(square, Broadcast(-0.5f), Mul(Mul(square, f), Polynomial(f, kCoefficients)));
  return MulAdd(n, Broadcast(kLog2), Add(f, rest));
}

// log(x): minus infinity of 0, infinity of infinity, NaN of NaN and of what is below 0. What lies between 0 and FLT_MIN
// counts as FLT_MIN.
inline Packet PacketLog(const Packet& x) {
  constexpr int32_t kRootOfHalf = 0x3f3504f3;
  const IntPacket bits = BitsOf(Select(Less(x, Broadcast(FLT_MIN)), Broadcast(FLT_MIN), x));
  const IntPacket n =
      Eigen::internal::parithmetic_shift_right<23>(Eigen::internal::psub(bits, BroadcastInt(kRootOfHalf)));
  const Packet m = OfBits(Eigen::internal::psub(bits, Eigen::internal::plogical_shift_left<23>(n)));
  const Packet y = PacketLogOfParts(Sub(m, Broadcast(1)), Eigen::internal::pcast<IntPacket, Packet>(n));
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  // x + x is infinity or NaN where x is.
  const Packet below = Select(Less(x, Broadcast(0)), Broadcast(std::numeric_limits<float>::quiet_NaN()), y);
  const Packet at_zero = Select(Equal(x, Broadcast(0)), Broadcast(-kInfinity), below);
  return Select(Less(x, Broadcast(kInfinity)), at_zero, Add(x, x));
}

// log(1 + x) for 0 <= x <= 1, exact for small x too.
inline Packet PacketLogOfOnePlus(const Packet& x) {
  const Mask small = Less(x, Broadcast(0.41421356f));
  // 1 + x, or half of it.
  const Packet f = Select(small, x, MulAdd(x, Broadcast(0.5f), Broadcast(-0.5f)));
  return PacketLogOfParts(f, Select(small, Broadcast(0), Broadcast(1)));
}

// 1 / (1 + exp(-x))
inline Packet PacketSigmoid(const Packet& x) {
  return Div(Broadcast(1), Add(Broadcast(1), PacketExp(Sub(Broadcast(0), x))));
}

// The value, or NaN where x is not finite: x - x is 0, or NaN.
inline Packet IfFinite(const Packet& x, const Packet& value) { return Add(value, Sub(x, x)); }

// to[i] = function(from[i]...) for i in [0, n), a packet at a time; `to` may be one of the arrays it is made of. The
// last packet has values beyond n, which are 0 and whose results are dropped.
template <typename Function, typename... From>
inline void MapPackets(int64_t n, float* to, Function function, const From*... from) {
  int64_t i = 0;
  for (; i + kPacketSize <= n; i += kPacketSize) Store(to + i, function(Load(from + i)...));
  if (i == n) return;
  const LaneMask rest = FirstLanes(n - i);
  StoreLanes(rest, to + i, function(LoadLanes(rest, from + i)...));
}

}  // namespace samovar
