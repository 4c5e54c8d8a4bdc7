#include "common/model/learning_rate.h"

#include <google/protobuf/text_format.h>

#include <limits>
#include <string>

#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

caffe::SolverParameter Solver(const std::string& text) {
  caffe::SolverParameter solver;
  REQUIRE(google::protobuf::TextFormat::ParseFromString("base_lr: 0.5 max_iter: 100 " + text, &solver));
  return solver;
}

TEST_CASE("each learning-rate policy gives Caffe's values") {
  const auto fixed = Solver("lr_policy: 'fixed'");
  CHECK(LearningRate(fixed, 0) == 0.5);
  CHECK(LearningRate(fixed, 99) == 0.5);

  const auto step = Solver("lr_policy: 'step' gamma: 0.5 stepsize: 10");
  CHECK(LearningRate(step, 0) == 0.5);
  CHECK(LearningRate(step, 9) == 0.5);
  CHECK(LearningRate(step, 10) == 0.25);
  CHECK(LearningRate(step, 29) == 0.125);

  const auto exponential = Solver("lr_policy: 'exp' gamma: 0.5");
  CHECK(LearningRate(exponential, 0) == 0.5);
  CHECK(LearningRate(exponential, 3) == 0.0625);

  const auto inverse = Solver("lr_policy: 'inv' gamma: 1 power: 2");
  CHECK(LearningRate(inverse, 0) == 0.5);
  CHECK(LearningRate(inverse, 1) == 0.125);
  CHECK(LearningRate(inverse, 3) == 0.03125);

  const auto poly = Solver("lr_policy: 'poly' power: 2");
  CHECK(LearningRate(poly, 0) == 0.5);
  CHECK(LearningRate(poly, 50) == 0.125);
  CHECK(LearningRate(poly, 100) == 0);
  CHECK(LearningRate(poly, 101) == 0);

  const auto sigmoid = Solver("lr_policy: 'sigmoid' gamma: -0.1 stepsize: 20");
  CHECK(LearningRate(sigmoid, 20) == 0.25);
  CHECK(LearningRate(sigmoid, 0) == Approx(0.5 / (1 + std::exp(-2.0))).epsilon(1e-6));
  CHECK(LearningRate(sigmoid, 90) == Approx(0.5 / (1 + std::exp(7.0))).epsilon(1e-6));
}

TEST_CASE("multistep counts the step values that have been reached") {
  const auto solver = Solver("lr_policy: 'multistep' gamma: 0.5 stepvalue: 5 stepvalue: 6 stepvalue: 50");
  REQUIRE_OK(CheckLearningRate(solver));
  CHECK(LearningRate(solver, 4) == 0.5);
  CHECK(LearningRate(solver, 5) == 0.25);
  CHECK(LearningRate(solver, 6) == 0.125);
  CHECK(LearningRate(solver, 49) == 0.125);
  CHECK(LearningRate(solver, 50) == 0.0625);
  CHECK(LearningRate(Solver("lr_policy: 'multistep' gamma: 0.5"), 99) == 0.5);
}

TEST_CASE("LeNet's schedule falls as its log shows") {
  caffe::SolverParameter solver;
  REQUIRE(google::protobuf::TextFormat::ParseFromString(
      "base_lr: 0.01 lr_policy: 'inv' gamma: 0.0001 power: 0.75 max_iter: 10000", &solver));
  REQUIRE_OK(CheckLearningRate(solver));
  CHECK(LearningRate(solver, 100) == Approx(0.00992565).epsilon(1e-6));
  CHECK(LearningRate(solver, 9999) == Approx(0.00594626).epsilon(1e-5));
}

TEST_CASE("a schedule that cannot be followed is refused with the field's name") {
  const auto code = absl::StatusCode::kInvalidArgument;
  REQUIRE_STATUS(CheckLearningRate(Solver("")), code, "lr_policy is missing");
  REQUIRE_STATUS(CheckLearningRate(Solver("lr_policy: 'stpe'")), code, "unknown lr_policy \"stpe\"");
  REQUIRE_STATUS(CheckLearningRate(Solver("lr_policy: 'step' gamma: 0.1")), code, "stepsize");
  REQUIRE_STATUS(CheckLearningRate(Solver("lr_policy: 'step' stepsize: 10")), code, "gamma");
  REQUIRE_STATUS(CheckLearningRate(Solver("lr_policy: 'exp' gamma: inf")), code, "gamma");
  REQUIRE_STATUS(CheckLearningRate(Solver("lr_policy: 'exp' gamma: 1e30")), code, "iteration 99");
  REQUIRE_STATUS(CheckLearningRate(Solver("lr_policy: 'inv' gamma: 0.1")), code, "power");
  REQUIRE_STATUS(CheckLearningRate(Solver("lr_policy: 'inv' gamma: -0.1 power: 1")), code, "gamma >= 0");
  REQUIRE_STATUS(CheckLearningRate(Solver("lr_policy: 'poly' power: -1")), code, "power >= 0");
  REQUIRE_STATUS(CheckLearningRate(Solver("lr_policy: 'multistep' gamma: 1 stepvalue: 5 stepvalue: 5")), code,
                 "5 does not follow 5");
  caffe::SolverParameter no_base;
  no_base.set_lr_policy("fixed");
  REQUIRE_STATUS(CheckLearningRate(no_base), code, "base_lr");
  no_base.set_base_lr(std::numeric_limits<float>::quiet_NaN());
  REQUIRE_STATUS(CheckLearningRate(no_base), code, "base_lr");
}

}  // namespace
}  // namespace samovar
