// How floats travel: as they are, or in fewer bytes, rounded at random so that the expectation of the received float is
// the sent one.
//
// Whether a value is rounded up or down depends on a key and its place alone, so all that encode the same values for
// the same (job, iteration, chunk) send the same bytes. No rounding error is carried from one message to the next.
//
//   encoding        bytes a float   relative step
//   float32         4               exact
//   bfloat16        2               2^-8
//   float16         2               2^-11; steps of 6e-8 below 6.1e-5; values beyond 65504 become 65504
//   int8 blocks     1.016           1/127 of the largest of 256 neighbours
//   sparse          5 a listed one  exact; its codec is in sparse_floats.h, since its length is not known beforehand
//
// NaN stays NaN; infinity stays infinity or becomes NaN. Thread safety: stateless.
#pragma once

#include <cstdint>
#include <span>

#include "samovar/v1/encoding.pb.h"

namespace samovar {

// Floats that share a scale in ENCODING_INT8_BLOCKS.
inline constexpr uint64_t kInt8Block = 256;

// Whether this version knows the encoding, whose number came from outside.
bool IsEncoding(int encoding);

// Bytes that so many floats take; of ENCODING_SPARSE the most that they may. REQUIRES: IsEncoding(encoding)
uint64_t EncodedBytes(v1::Encoding encoding, uint64_t floats);

// Writes EncodedBytes(encoding, values.size()) bytes at `to`, which need not be aligned. REQUIRES, here and below: the
// encoding is not ENCODING_SPARSE
void EncodeFloats(v1::Encoding encoding, std::span<const float> values, uint64_t key, char* to);

// Reads as many bytes at `from`, which need not be aligned.
void DecodeFloats(v1::Encoding encoding, const char* from, std::span<float> values);

// The keys of a gradient's and of weights' rounding.
uint64_t GradientKey(uint64_t seed, uint64_t iteration, uint32_t part, uint32_t chunk);
uint64_t WeightsKey(uint64_t seed, uint64_t version, uint32_t chunk);

}  // namespace samovar
