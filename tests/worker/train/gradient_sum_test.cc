#include "worker/train/gradient_sum.h"

#include <vector>

#include "tests/support/catch.h"

namespace samovar {
namespace {

// Two gradients, two statistics that keep a half, one more gradient.
v1::ParameterLayout SmallLayout() {
  v1::ParameterLayout layout;
  for (const int count : {2, 2, 1}) {
    v1::ParameterBlob* blob = layout.add_blobs();
    blob->add_shape(count);
    blob->set_offset(layout.elements());
    layout.set_elements(layout.elements() + static_cast<uint64_t>(count));
  }
  layout.mutable_blobs(1)->set_rule(v1::UPDATE_RULE_MOVING_AVERAGE);
  layout.mutable_blobs(1)->set_moving_average_fraction(0.5f);
  return layout;
}

std::vector<float> Clipped(float limit, int parts, std::vector<float> gradients) {
  ClipAndAverage(SmallLayout(), limit, parts, gradients);
  return gradients;
}

TEST_CASE("the gradients of an iteration's parts are added, its statistics merged as the server would") {
  GradientSum sum(SmallLayout());
  for (int repeat = 0; repeat < 2; ++repeat) {
    sum.Add(std::vector<float>{1, 2, 3, 4, 5}, true);
    sum.Add(std::vector<float>{10, 20, 30, 40, 50}, false);
    sum.Add(std::vector<float>{100, 200, 300, 400, 500}, false);
    const std::vector<float> values(sum.values().begin(), sum.values().end());
    CHECK(values == std::vector<float>{111, 222, 300 + 15 + 0.75f, 400 + 20 + 1, 555});
  }
}

TEST_CASE("gradients whose norm exceeds the limit are scaled down to it, without the statistics") {
  CHECK(Clipped(1.5f, 1, {2, 1, 70, 80, 2}) == std::vector<float>{1, 0.5f, 70, 80, 1});
  CHECK(Clipped(3, 1, {2, 1, 70, 80, 2}) == std::vector<float>{2, 1, 70, 80, 2});
  CHECK(Clipped(-1, 1, {2, 1, 70, 80, 2}) == std::vector<float>{2, 1, 70, 80, 2});
  CHECK(Clipped(0, 1, {2, 1, 70, 80, 2}) == std::vector<float>{0, 0, 70, 80, 0});
}

TEST_CASE("the sum is clipped before it is divided by the number of parts") {
  CHECK(Clipped(1.5f, 2, {2, 1, 70, 80, 2}) == std::vector<float>{0.5f, 0.25f, 70, 80, 0.5f});
  CHECK(Clipped(-1, 4, {2, 1, 70, 80, 2}) == std::vector<float>{0.5f, 0.25f, 70, 80, 0.5f});
}

}  // namespace
}  // namespace samovar
