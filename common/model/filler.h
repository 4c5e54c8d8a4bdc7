// Initial values of parameters (Caffe's fillers), as a pure function of (seed, blob, element): any process can compute
// any range.
#pragma once

#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "samovar/v1/layout.pb.h"

namespace samovar {

// Whether FillRange can fill the blob. INVALID_ARGUMENT: not by this filler, which the message names; the caller names
// the blob.
absl::Status CheckFiller(const v1::ParameterBlob& blob);

// Writes elements [begin, begin + out.size()) of the blob's initial values. Formulas, with n = fan_in (default),
// fan_out or their mean as variance_norm says, fan_in = count / shape[0], fan_out = count / shape[1] (count if 1-D):
//   constant  value
//   uniform   U[min, max)
//   gaussian  N(mean, std), Box and Muller's transform; with sparse >= 0 each element is kept with probability
//             sparse / shape[0], and else 0
//   positive_unitball  U[0, 1), each row (of axis 0) divided by its sum
//   xavier    U[-s, s), s = sqrt(3 / n)          (Glorot and Bengio 2010)
//   msra      N(0, sqrt(2 / n))                  (He et al. 2015)
//   bilinear  of square kernels, 4-D: (1 - |x / f - c|) (1 - |y / f - c|), f = ceil(width / 2), c = (width - 1) / (2 f)
// Errors as CheckFiller, with layer and blob. Beyond the blob's end the sequence goes on.
absl::Status FillRange(const v1::ParameterBlob& blob, uint64_t seed, uint64_t begin, std::span<float> out);

}  // namespace samovar
