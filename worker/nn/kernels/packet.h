// Packet is the widest vector of floats that the build's instruction set has: 4, 8 or 16 of them. Kernels are written
// once, in terms of it. MulAdd rounds once where there is FMA.
#pragma once

#include <cstdint>

#include "worker/nn/kernels/eigen.h"

namespace samovar {

using Packet = Eigen::internal::packet_traits<float>::type;
inline constexpr int64_t kPacketSize = Eigen::internal::packet_traits<float>::size;

inline Packet Load(const float* x) { return Eigen::internal::ploadu<Packet>(x); }
inline void Store(float* x, const Packet& p) { Eigen::internal::pstoreu(x, p); }
inline Packet Broadcast(float x) { return Eigen::internal::pset1<Packet>(x); }
inline Packet Add(const Packet& a, const Packet& b) { return Eigen::internal::padd(a, b); }
inline Packet Mul(const Packet& a, const Packet& b) { return Eigen::internal::pmul(a, b); }
inline Packet Div(const Packet& a, const Packet& b) { return Eigen::internal::pdiv(a, b); }
// a * b + c
inline Packet MulAdd(const Packet& a, const Packet& b, const Packet& c) { return Eigen::internal::pmadd(a, b, c); }
// All bits set where a < b; none where one is NaN.
inline Packet Less(const Packet& a, const Packet& b) { return Eigen::internal::pcmp_lt(a, b); }
inline Packet Equal(const Packet& a, const Packet& b) { return Eigen::internal::pcmp_eq(a, b); }
inline Packet And(const Packet& a, const Packet& b) { return Eigen::internal::pand(a, b); }
inline Packet Or(const Packet& a, const Packet& b) { return Eigen::internal::por(a, b); }
inline Packet Select(const Packet& mask, const Packet& yes, const Packet& no) {
  return Eigen::internal::pselect(mask, yes, no);
}

// Packets that hold n floats, and the floats in these.
inline constexpr int64_t PacketsFor(int64_t n) { return (n + kPacketSize - 1) / kPacketSize; }
inline constexpr int64_t RoundUpToPackets(int64_t n) { return PacketsFor(n) * kPacketSize; }

}  // namespace samovar
