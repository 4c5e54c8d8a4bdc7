#include "cli/run/earlier_displays.h"

#include "tests/support/catch.h"

namespace samovar {
namespace {

v1::JobSpec Spec(int display, int average_loss = 1) {
  v1::JobSpec spec;
  spec.mutable_solver()->set_display(display);
  spec.mutable_solver()->set_average_loss(average_loss);
  v1::OutputSpec* const output = spec.mutable_train_outputs()->add_outputs();
  output->set_name("loss");
  output->set_loss_weight(1);
  return spec;
}

// Every third iteration.
Curve Thinned() {
  Curve curve;
  for (uint64_t iteration = 0; iteration < 100; iteration += 3) {
    Curve::Point point;
    point.iteration = iteration;
    point.loss = 0.5f;
    point.learning_rate = 0.01f;
    point.outputs = {0.5f};
    curve.points.push_back(point);
  }
  return curve;
}

}  // namespace

TEST_CASE("lines that are not kept are made of the curve's points, and those that it lacks are counted") {
  const EarlierDisplays earlier = DisplaysOf(Thinned(), Spec(2), 0, 50);
  // 0, 6, 12, ..., 48
  REQUIRE(earlier.lines.size() == 9);
  CHECK(earlier.lines[1].iteration() == 6);
  CHECK(earlier.lines[1].outputs(0).name() == "loss");
  CHECK(earlier.lines[1].outputs(0).loss_weight() == 1);
  CHECK(MissingText(earlier) == "of the 25 lines of iterations 0 to 48 16 are not kept any more");
}

TEST_CASE("the curve has no means of several losses") {
  const EarlierDisplays earlier = DisplaysOf(Thinned(), Spec(3, 10), 0, 50);
  CHECK(earlier.lines.empty());
  CHECK(MissingText(earlier) == "of the 17 lines of iterations 0 to 48 none is kept any more");
}

TEST_CASE("nothing is missing where all lines are there") {
  CHECK(MissingText(DisplaysOf(Thinned(), Spec(3), 0, 50)).empty());
  CHECK(MissingText(DisplaysOf(Thinned(), Spec(100), 1, 50)).empty());
  CHECK(MissingText(DisplaysOf(Thinned(), Spec(0), 0, 50)).empty());
}

}  // namespace samovar
