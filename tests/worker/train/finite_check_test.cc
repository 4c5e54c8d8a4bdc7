#include "worker/train/finite_check.h"

#include <limits>
#include <vector>

#include "tests/support/catch.h"

namespace samovar {
namespace {

TEST_CASE("the first value of a gradient that is not finite is found, and named by its layer and blob") {
  v1::ParameterLayout layout;
  uint64_t offset = 0;
  for (const auto& [layer, index, count] : {std::tuple{"conv1", 0u, 6u}, {"conv1", 1u, 2u}, {"ip1", 0u, 10u}}) {
    v1::ParameterBlob* blob = layout.add_blobs();
    blob->set_layer(layer);
    blob->set_index(index);
    blob->set_offset(offset);
    offset += count;
  }
  std::vector<float> gradient(offset, 1);
  CHECK_FALSE(FindBadGradient(gradient, 0, layout).has_value());
  gradient[17] = std::numeric_limits<float>::infinity();
  CHECK(*FindBadGradient(gradient, 0, layout) == "the gradient of layer \"ip1\", blob 0, has inf in it");
  gradient[7] = std::numeric_limits<float>::quiet_NaN();
  CHECK(*FindBadGradient(gradient, 0, layout) == "the gradient of layer \"conv1\", blob 1, has nan in it");
  // Of a part of the vector.
  const auto part = std::span<const float>(gradient).subspan(8);
  CHECK(*FindBadGradient(part, 8, layout) == "the gradient of layer \"ip1\", blob 0, has inf in it");
  CHECK_FALSE(FindBadGradient(part.first(9), 8, layout).has_value());
}

}  // namespace
}  // namespace samovar
