// Shapes of blobs: row-major dimensions; axis 0 is the record, and a shape without axes is one number.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/nn/engine.h"

namespace samovar {

using Shape = std::vector<int64_t>;

// Values in a blob: the product of the dimensions, 1 for a shape without axes.
SAMOVAR_ENGINE_API int64_t Elements(const Shape& shape);
// The product of the dimensions [begin, end). REQUIRES: 0 <= begin, end <= axes
int64_t Elements(const Shape& shape, int begin, int end);
// Values that each record has: those of axes 1 and up. 1 for a shape without axes.
int64_t RecordElements(const Shape& shape);

// INVALID_ARGUMENT unless every dimension is positive and the blob has at most 2^31 - 1 values.
absl::Status CheckShape(const Shape& shape);

// Caffe's axis: negative ones count from the end. INVALID_ARGUMENT if it is outside.
absl::StatusOr<int> CanonicalAxis(const Shape& shape, int axis);

// "[64, 20, 12, 12]"
std::string ToString(const Shape& shape);

}  // namespace samovar
