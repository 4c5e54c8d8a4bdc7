#include "worker/nn/shape.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace samovar {

int64_t Elements(const Shape& shape) { return Elements(shape, 0, static_cast<int>(shape.size())); }

int64_t Elements(const Shape& shape, int begin, int end) {
  int64_t elements = 1;
  for (int axis = begin; axis < end; ++axis) elements *= shape[static_cast<size_t>(axis)];
  return elements;
}

int64_t RecordElements(const Shape& shape) {
  return shape.empty() ? 1 : Elements(shape, 1, static_cast<int>(shape.size()));
}

absl::Status CheckShape(const Shape& shape) {
  constexpr int64_t kMaxElements = std::numeric_limits<int32_t>::max();
  int64_t elements = 1;
  for (int64_t dimension : shape) {
    if (dimension <= 0) return absl::InvalidArgumentError(absl::StrCat("shape ", ToString(shape), " is not positive"));
    if (dimension > kMaxElements / elements) {
      return absl::InvalidArgumentError(absl::StrCat("shape ", ToString(shape), " has more than 2^31 - 1 values"));
    }
    elements *= dimension;
  }
  return absl::OkStatus();
}

absl::StatusOr<int> CanonicalAxis(const Shape& shape, int axis) {
  const int axes = static_cast<int>(shape.size());
  if (axis < -axes || axis >= axes) {
    return absl::InvalidArgumentError(absl::StrCat("axis ", axis, " is outside of shape ", ToString(shape)));
  }
  return axis < 0 ? axis + axes : axis;
}

std::string ToString(const Shape& shape) { return absl::StrCat("[", absl::StrJoin(shape, ", "), "]"); }

}  // namespace samovar
