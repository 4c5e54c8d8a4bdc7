#include "server/jobs/checkpoints.h"

#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

v1::JobSpec Spec(int snapshot, int test_interval) {
  v1::JobSpec spec;
  spec.mutable_solver()->set_max_iter(100);
  spec.mutable_solver()->set_snapshot(snapshot);
  spec.mutable_solver()->set_test_interval(test_interval);
  spec.add_test_nets();
  return spec;
}

// The iteration, and "s" for a snapshot, "t" for a test.
std::string Text(const std::optional<Checkpoint>& due) {
  if (!due.has_value()) return "none";
  return std::to_string(due->iteration) + (due->persist ? "s" : "") + (due->test ? "t" : "");
}

// Has the checkpoint that is due at that iteration taken, to its end.
std::string Passed(Checkpoints* checkpoints, uint64_t done) {
  const std::optional<Checkpoint> due = checkpoints->Due(done);
  if (!due.has_value()) return "none";
  checkpoints->Take();
  CHECK(Text(checkpoints->Due(done)) == "none");
  checkpoints->Pass(*due);
  checkpoints->End();
  return Text(due);
}

}  // namespace

TEST_CASE("checkpoints come at the multiples of either interval, and nothing is leased beyond the next") {
  const v1::JobSpec spec = Spec(30, 20);
  Checkpoints checkpoints(&spec);
  checkpoints.Begin(0, /*tested=*/false);
  for (const auto& [done, text] : std::vector<std::pair<uint64_t, std::string>>{
           {0, "0t"}, {20, "20t"}, {30, "30s"}, {40, "40t"}, {60, "60st"}, {80, "80t"}, {90, "90s"}}) {
    CHECK(checkpoints.limit() == done);
    if (done > 0) CHECK(Text(checkpoints.Due(done - 1)) == "none");
    CHECK(Passed(&checkpoints, done) == text);
  }
  // The one at the end waits for the ledgers.
  CHECK(Text(checkpoints.Due(100)) == "none");
  checkpoints.SetComplete();
  CHECK(Text(checkpoints.Due(100)) == "100st");
}

TEST_CASE("a test that was made where training begins is not made again, and a solver may leave the first one out") {
  v1::JobSpec spec = Spec(0, 20);
  Checkpoints checkpoints(&spec);
  checkpoints.Begin(40, /*tested=*/true);
  CHECK(checkpoints.limit() == 60);
  checkpoints.Begin(40, /*tested=*/false);
  CHECK(checkpoints.limit() == 40);
  spec.mutable_solver()->set_test_initialization(false);
  checkpoints.Begin(0, /*tested=*/false);
  CHECK(checkpoints.limit() == 20);
}

TEST_CASE("training that goes back passes the checkpoints from there on again, and the tests that it lost") {
  const v1::JobSpec spec = Spec(30, 20);
  Checkpoints checkpoints(&spec);
  checkpoints.Begin(0, /*tested=*/true);
  CHECK(Passed(&checkpoints, 20) == "20t");
  CHECK(Passed(&checkpoints, 30) == "30s");
  CHECK(Passed(&checkpoints, 40) == "40t");
  checkpoints.Take();
  checkpoints.GoBack(5, /*untested=*/40);
  CHECK_FALSE(checkpoints.active());
  CHECK(Passed(&checkpoints, 30) == "30s");
  CHECK(Passed(&checkpoints, 40) == "40t");
  CHECK(Passed(&checkpoints, 60) == "60st");
}

TEST_CASE("a snapshot that a user asks for comes when all that is leased is done, and is exported where they say") {
  const v1::JobSpec spec = Spec(0, 0);
  Checkpoints checkpoints(&spec);
  checkpoints.Begin(0, /*tested=*/true);
  const auto answer = checkpoints.Request("/exports", /*last=*/false, {7, 12, std::nullopt});
  REQUIRE_OK(answer);
  CHECK(answer->iteration == 12);
  CHECK(answer->added);
  CHECK(checkpoints.limit() == 12);
  // Other callers get the same meanwhile.
  const auto again = checkpoints.Request("", /*last=*/false, {9, 20, std::nullopt});
  REQUIRE_OK(again);
  CHECK(again->iteration == 12);
  CHECK_FALSE(again->added);
  REQUIRE_STATUS(checkpoints.Request("/elsewhere", /*last=*/false, {9, 20, std::nullopt}),
                 absl::StatusCode::kFailedPrecondition, "/exports");
  CHECK(checkpoints.Due(12)->export_to == "/exports");
  CHECK(Passed(&checkpoints, 12) == "12s");
  CHECK(checkpoints.limit() == Checkpoints::kNever);
  // One that is there need not be taken again, unless it is to be exported.
  CHECK_FALSE(checkpoints.Request("", /*last=*/false, {12, 12, 12})->added);
  CHECK(checkpoints.Request("/exports", /*last=*/false, {12, 12, 12})->added);
}

TEST_CASE("training goes no further than the last snapshot that was asked for") {
  const v1::JobSpec spec = Spec(0, 0);
  Checkpoints checkpoints(&spec);
  checkpoints.Begin(0, /*tested=*/true);
  REQUIRE_OK(checkpoints.Request("", /*last=*/true, {7, 12, std::nullopt}));
  CHECK(Passed(&checkpoints, 12) == "12s");
  CHECK(checkpoints.limit() == 12);
  CHECK(checkpoints.stop_at() == 12);
}

TEST_CASE("a solver that wants no last snapshot gets one if a user asks so late") {
  v1::JobSpec spec = Spec(0, 0);
  spec.clear_test_nets();
  spec.mutable_solver()->set_snapshot_after_train(false);
  Checkpoints checkpoints(&spec);
  checkpoints.Begin(0, /*tested=*/true);
  checkpoints.SetComplete();
  CHECK(Text(checkpoints.Due(100)) == "100");
  const auto answer = checkpoints.Request("", /*last=*/false, {100, 100, std::nullopt});
  REQUIRE_OK(answer);
  CHECK(answer->iteration == 100);
  CHECK(Text(checkpoints.Due(100)) == "100s");
  REQUIRE_STATUS(checkpoints.Request("/exports", /*last=*/false, {100, 100, std::nullopt}),
                 absl::StatusCode::kFailedPrecondition, "last snapshot");
}

}  // namespace samovar
