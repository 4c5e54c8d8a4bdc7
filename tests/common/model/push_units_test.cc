#include "common/model/push_units.h"

#include <string>

#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

v1::JobSpec Spec(uint32_t push_every, int snapshot, int test_interval) {
  v1::JobSpec spec;
  spec.set_push_every(push_every);
  spec.mutable_solver()->set_max_iter(1000);
  spec.mutable_solver()->set_snapshot(snapshot);
  spec.mutable_solver()->set_test_interval(test_interval);
  spec.add_test_nets();
  return spec;
}

void CheckRefused(const v1::JobSpec& spec, const std::string& text) {
  REQUIRE_STATUS(CheckPushUnits(spec), absl::StatusCode::kInvalidArgument, text);
}

TEST_CASE("units begin at multiples of push_every, and the last one ends at max_iter") {
  CHECK(UnitEnd(0, 4, 10) == 4);
  CHECK(UnitEnd(3, 4, 10) == 4);
  CHECK(UnitEnd(4, 4, 10) == 8);
  CHECK(UnitEnd(8, 4, 10) == 10);
  CHECK(UnitEnd(9, 4, 10) == 10);
  CHECK(UnitEnd(5, 1, 10) == 6);
  CHECK(BetweenUnits(8, 4, 10));
  CHECK(BetweenUnits(10, 4, 10));
  CHECK_FALSE(BetweenUnits(9, 4, 10));
}

TEST_CASE("snapshots and tests fall between units, or it is said what to write") {
  CHECK(CheckPushUnits(Spec(8, 400, 200)).ok());
  CHECK(CheckPushUnits(Spec(1, 7, 5)).ok());
  CHECK(CheckPushUnits(Spec(8, 0, 0)).ok());
  CheckRefused(Spec(8, 0, 500), "write test_interval: 504 in the solver, or choose push_every 5 or 10");
  CheckRefused(Spec(8, 5000, 500), "test_interval 500");
  CheckRefused(Spec(8, 100, 200), "snapshot 100, which would fall between two pushes: write snapshot: 104");
  CheckRefused(Spec(8, 7, 0), "choose push_every 7");
  v1::JobSpec untested = Spec(8, 400, 5);
  untested.clear_test_nets();
  CHECK(CheckPushUnits(untested).ok());
}

TEST_CASE("units are for async and bounded mode, plain solvers, and gradients as they are") {
  v1::JobSpec spec = Spec(8, 0, 0);
  spec.mutable_solver()->set_momentum(0.9f);
  spec.mutable_solver()->set_clip_gradients(1);
  spec.mutable_solver()->set_iter_size(2);
  CHECK(CheckPushUnits(spec).ok());
  spec.set_mode(v1::CONSISTENCY_BOUNDED);
  spec.set_delay(8);
  CHECK(CheckPushUnits(spec).ok());
  spec.set_delay(7);
  CheckRefused(spec, "bounded with a delay of at least 8");
  spec.set_mode(v1::CONSISTENCY_SYNC);
  CheckRefused(spec, "take the mode async");
  spec.set_mode(v1::CONSISTENCY_ASYNC);
  spec.set_delay_compensation(0.04f);
  CheckRefused(spec, "leave one of them out");
  spec.set_delay_compensation(0);
  for (const char* type : {"Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"}) {
    spec.mutable_solver()->set_type(type);
    CheckRefused(spec, "write type: \"SGD\"");
  }
  spec.mutable_solver()->set_type("SGD");
  spec.set_push_every(kMaxPushEvery + 1);
  CheckRefused(spec, "at most 1000, not 1001");
}

}  // namespace
}  // namespace samovar
