// Clips a gradient as the solver's clip_gradients says, in Caffe's order: the sum over an iteration's passes is scaled
// down if its L2 norm exceeds the limit, and then divided by the number of passes. Statistics are no gradients; callers
// leave them out.
//
// The norm's square is summed in double: within blocks of kSquaresBlock floats of the flat vector, each from its
// beginning, and then over the blocks in order. So it is the same number, to the bit, however the vector is cut into
// chunks of whole blocks.
//
// Thread safety: stateless.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace samovar {

inline constexpr uint64_t kSquaresBlock = 1024;

// Blocks that so many floats take.
inline uint64_t SquaresBlocks(uint64_t floats) { return (floats + kSquaresBlock - 1) / kSquaresBlock; }

// Adds the squares of values[begin, end) to the sums of the blocks that they lie in. REQUIRES: `values` begins at a
// block's beginning, sums.size() == SquaresBlocks(values.size())
void AddSquares(std::span<const float> values, uint64_t begin, uint64_t end, std::span<double> sums);

// The norm of a gradient whose blocks have these sums, in the order of the flat vector.
double NormOf(std::span<const double> sums);

// Scales values of a gradient of this norm, and divides by the number of passes. A negative limit is none.
void ClipAndDivide(float limit, double norm, int passes, std::span<float> values);

}  // namespace samovar
