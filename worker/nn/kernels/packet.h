// Packet is the widest vector of floats that the build's instruction set has: 4, 8 or 16 of them. Kernels are written
// once, in terms of it. MulAdd rounds once where there is FMA.
#pragma once

#include <cstdint>

#include "worker/nn/kernels/eigen.h"

namespace samovar {

using Packet = Eigen::internal::packet_traits<float>::type;
inline constexpr int64_t kPacketSize = Eigen::internal::packet_traits<float>::size;

// Half of a packet where packets are a cache line: these straddle two lines wherever they do not begin with one.
#ifdef EIGEN_VECTORIZE_AVX512
using HalfPacket = Eigen::internal::Packet8f;
#else
using HalfPacket = Packet;
#endif
inline constexpr int64_t kHalfPacketSize = kPacketSize == 16 ? 8 : kPacketSize;

inline Packet Load(const float* x) { return Eigen::internal::ploadu<Packet>(x); }
inline void Store(float* x, const Packet& p) { Eigen::internal::pstoreu(x, p); }
inline Packet Broadcast(float x) { return Eigen::internal::pset1<Packet>(x); }
inline Packet Add(const Packet& a, const Packet& b) { return Eigen::internal::padd(a, b); }
inline Packet Mul(const Packet& a, const Packet& b) { return Eigen::internal::pmul(a, b); }
inline Packet Div(const Packet& a, const Packet& b) { return Eigen::internal::pdiv(a, b); }
// a * b + c
inline Packet MulAdd(const Packet& a, const Packet& b, const Packet& c) { return Eigen::internal::pmadd(a, b, c); }

// One truth a lane: with AVX-512 a bit, which its instructions take as it is; else all bits of the lane, or none.
#ifdef EIGEN_VECTORIZE_AVX512
using Mask = __mmask16;
inline Mask Less(const Packet& a, const Packet& b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
inline Mask Equal(const Packet& a, const Packet& b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
inline Mask And(Mask a, Mask b) { return static_cast<Mask>(a & b); }
inline Mask Or(Mask a, Mask b) { return static_cast<Mask>(a | b); }
inline Packet Select(Mask mask, const Packet& yes, const Packet& no) { return _mm512_mask_blend_ps(mask, no, yes); }
#else
using Mask = Packet;
// a < b; false where one is NaN.
inline Mask Less(const Packet& a, const Packet& b) { return Eigen::internal::pcmp_lt(a, b); }
inline Mask Equal(const Packet& a, const Packet& b) { return Eigen::internal::pcmp_eq(a, b); }
inline Mask And(const Mask& a, const Mask& b) { return Eigen::internal::pand(a, b); }
inline Mask Or(const Mask& a, const Mask& b) { return Eigen::internal::por(a, b); }
inline Packet Select(const Mask& mask, const Packet& yes, const Packet& no) {
  return Eigen::internal::pselect(mask, yes, no);
}
#endif
// y = x > 0 ? x : 0 * x
inline Packet Relu(const Packet& x) { return Select(Less(Broadcast(0), x), x, Mul(Broadcast(0), x)); }

// Some lanes of a packet. What is not loaded is 0, and its memory is not touched.
#ifdef EIGEN_VECTORIZE_AVX512
using LaneMask = __mmask16;
// Bit i of `bits`: lane i.
inline LaneMask LanesOf(uint32_t bits) { return static_cast<LaneMask>(bits); }
inline Packet LoadLanes(const LaneMask& mask, const float* x) { return _mm512_maskz_loadu_ps(mask, x); }
inline void StoreLanes(const LaneMask& mask, float* x, const Packet& p) { _mm512_mask_storeu_ps(x, mask, p); }
#else
struct LaneMask {
  int32_t lanes[kPacketSize];
};
inline LaneMask LanesOf(uint32_t bits) {
  LaneMask mask;
  for (int i = 0; i < kPacketSize; ++i) mask.lanes[i] = (bits >> i & 1) != 0 ? -1 : 0;
  return mask;
}
#ifdef EIGEN_VECTORIZE_AVX
inline __m256i Bits(const LaneMask& mask) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(mask.lanes)); }
inline Packet LoadLanes(const LaneMask& mask, const float* x) { return _mm256_maskload_ps(x, Bits(mask)); }
inline void StoreLanes(const LaneMask& mask, float* x, const Packet& p) { _mm256_maskstore_ps(x, Bits(mask), p); }
#else
inline Packet LoadLanes(const LaneMask& mask, const float* x) {
  float values[kPacketSize] = {};
  for (int i = 0; i < kPacketSize; ++i) {
    if (mask.lanes[i] != 0) values[i] = x[i];
  }
  return Load(values);
}
inline void StoreLanes(const LaneMask& mask, float* x, const Packet& p) {
  float values[kPacketSize];
  Store(values, p);
  for (int i = 0; i < kPacketSize; ++i) {
    if (mask.lanes[i] != 0) x[i] = values[i];
  }
}
#endif
#endif
// The first n lanes.
inline LaneMask FirstLanes(int64_t n) { return LanesOf((uint32_t{1} << n) - 1); }

// Packets that hold n floats, and the floats in these.
inline constexpr int64_t PacketsFor(int64_t n) { return (n + kPacketSize - 1) / kPacketSize; }
inline constexpr int64_t RoundUpToPackets(int64_t n) { return PacketsFor(n) * kPacketSize; }

}  // namespace samovar
