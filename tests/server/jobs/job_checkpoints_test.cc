// When a job's weights are frozen, and what users who ask for snapshots get.

#include "server/jobs/job.h"
#include "server/jobs/job_spec.h"
#include "tests/server/jobs/test_job.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

TEST_CASE(
    "checkpoints come in order, each once, and training goes on beyond one when its weights are frozen, not before") {
  v1::JobSpec spec = WithTest(SpecOf(100), 20);
  spec.mutable_solver()->set_test_initialization(false);
  spec.mutable_solver()->set_snapshot(30);
  Job job(spec);
  Start(&job);
  // Nothing beyond the first test is in the weights that it will see.
  CHECK(TrainAll(&job) == 20);
  auto checkpoint = job.TakeCheckpoint();
  REQUIRE(checkpoint.has_value());
  CHECK(checkpoint->iteration == 20);
  CHECK(checkpoint->test);
  CHECK_FALSE(checkpoint->persist);
  CHECK_FALSE(job.TakeCheckpoint().has_value());
  job.CheckpointFrozen(*checkpoint, 1);
  CHECK_FALSE(job.TestsDone());
  // The test's slices come before more training.
  int slices = 0;
  auto lease = job.Lease(kAnna, 1, At(2));
  for (; lease.has_value() && lease->has_test(); lease = job.Lease(kAnna, 1, At(2))) {
    ++slices;
    job.Report(kAnna, "anna", TestedOf(*lease, 0.75), At(2));
  }
  CHECK(slices > 0);
  CHECK(job.TestsDone());
  REQUIRE(lease.has_value());
  CHECK(lease->train().begin() == 20);
  job.Report(kAnna, "anna", DoneOf(*lease), At(2));
  TrainAll(&job);
  job.CheckpointEnded();
  const v1::JobStatus status = job.Status(At(2));
  REQUIRE(status.tests_size() == 1);
  CHECK(status.tests(0).iteration() == 20);
  CHECK(status.tests(0).records() == 100);
  CHECK(status.tests(0).outputs(0).value() == Approx(0.75));
  checkpoint = job.TakeCheckpoint();
  REQUIRE(checkpoint.has_value());
  CHECK(checkpoint->iteration == 30);
  CHECK(checkpoint->persist);
  CHECK_FALSE(checkpoint->test);
}

TEST_CASE("the first test sees the initial weights: nothing is trained before they are frozen") {
  Job job(WithTest(SpecOf(100), 50));
  Start(&job);
  CHECK_FALSE(job.Lease(kAnna, 1, At(0)).has_value());
  const auto checkpoint = job.TakeCheckpoint();
  REQUIRE(checkpoint.has_value());
  CHECK(checkpoint->iteration == 0);
  job.CheckpointFrozen(*checkpoint, 2);
  CHECK(job.Lease(kAnna, 2, At(0))->has_test());
}

TEST_CASE("a job of no iterations is tested and written as it begins") {
  Job job(WithTest(SpecOf(0), 50));
  REQUIRE_OK(CheckJobSpec(WithTest(SpecOf(0), 50)));
  Start(&job);
  CHECK_FALSE(job.Lease(kAnna, 1, At(1)).has_value());
  REQUIRE(job.AwaitsVerification());
  job.Verified(Ledger(), v1::LedgerSummary());
  const auto last = job.TakeCheckpoint();
  REQUIRE(last.has_value());
  CHECK(last->iteration == 0);
  CHECK(last->persist);
  CHECK(last->test);
  CHECK(job.Status(At(2)).learning_rate() == Approx(0.1));
}

TEST_CASE(
    "with snapshot_after_train: false the end is written if it is a multiple of snapshot, or if a user asks for it") {
  const auto last_of = [](int snapshot, bool asked) {
    v1::JobSpec spec = SpecOf(20);
    spec.mutable_solver()->set_snapshot_after_train(false);
    spec.mutable_solver()->set_snapshot(snapshot);
    Job job(spec);
    Start(&job);
    while (TrainAll(&job) > 0) {
      if (const auto checkpoint = job.TakeCheckpoint()) {
        job.CheckpointFrozen(*checkpoint, 1);
        job.CheckpointEnded();
      }
    }
    if (asked) CHECK(*job.RequestSnapshot("") == 20);
    Ledger held;
    held.AddRange(0, 20);
    job.Verified(held, v1::LedgerSummary());
    return *job.TakeCheckpoint();
  };
  CHECK_FALSE(last_of(0, false).persist);
  CHECK_FALSE(last_of(15, false).persist);
  CHECK(last_of(10, false).persist);
  CHECK(last_of(15, true).persist);
  CHECK(last_of(0, false).iteration == 20);
}

TEST_CASE("where iterations are applied in order, leasing stops at a checkpoint until it is frozen") {
  v1::JobSpec spec = SpecOf(100);
  spec.mutable_solver()->set_snapshot(10);
  SECTION("in parts") { spec = InParts(spec, 1); }
  SECTION("one after the other") {
    spec.mutable_consistency()->set_mode(v1::CONSISTENCY_BOUNDED);
    spec.mutable_consistency()->set_delay(0);
  }
  Job job(spec);
  Start(&job);
  CHECK(TrainAll(&job) == 10);
  const auto checkpoint = job.TakeCheckpoint();
  REQUIRE(checkpoint.has_value());
  CHECK(checkpoint->iteration == 10);
  CHECK_FALSE(job.Lease(kAnna, 1, At(2)).has_value());
  job.CheckpointFrozen(*checkpoint, 1);
  CHECK(TrainAll(&job) == 10);
  // The next one waits for the end of the first.
  CHECK_FALSE(job.TakeCheckpoint().has_value());
  job.CheckpointEnded();
  CHECK(job.TakeCheckpoint()->iteration == 20);
}

TEST_CASE("a snapshot that is asked for comes when all that was leased by then is done") {
  Job job(SpecOf(100));
  Start(&job);
  const auto lease = job.Lease(kAnna, 1, At(0));
  const auto iteration = job.RequestSnapshot();
  REQUIRE_OK(iteration);
  CHECK(*iteration == lease->train().end());
  CHECK(*job.RequestSnapshot() == *iteration);
  CHECK_FALSE(job.TakeCheckpoint().has_value());
  job.Report(kAnna, "anna", DoneOf(*lease), At(1));
  const auto checkpoint = job.TakeCheckpoint();
  REQUIRE(checkpoint.has_value());
  CHECK(checkpoint->iteration == *iteration);
  CHECK(checkpoint->persist);
  CHECK_FALSE(checkpoint->test);
  job.CheckpointFrozen(*checkpoint, 1);
  job.SnapshotEnded(checkpoint->iteration, absl::OkStatus());
  job.CheckpointEnded();
  CHECK_FALSE(job.TakeCheckpoint().has_value());
  // Nothing has been leased since: that one is the newest there can be.
  CHECK(*job.RequestSnapshot() == *iteration);
  CHECK_FALSE(job.TakeCheckpoint().has_value());
}

TEST_CASE("a snapshot is exported where the user who asks for it wants it") {
  Job job(SpecOf(100));
  Start(&job);
  const auto lease = job.Lease(kAnna, 1, At(0));
  const auto iteration = job.RequestSnapshot("/shared");
  REQUIRE_OK(iteration);
  CHECK(*job.RequestSnapshot("/shared") == *iteration);
  CHECK(*job.RequestSnapshot() == *iteration);
  REQUIRE_STATUS(job.RequestSnapshot("/elsewhere"), absl::StatusCode::kFailedPrecondition,
                 "about to export a snapshot to /shared");
  job.Report(kAnna, "anna", DoneOf(*lease), At(1));
  const auto checkpoint = job.TakeCheckpoint();
  REQUIRE(checkpoint.has_value());
  CHECK(checkpoint->iteration == *iteration);
  CHECK(checkpoint->export_to == "/shared");
  job.CheckpointFrozen(*checkpoint, 1);
  job.SnapshotEnded(checkpoint->iteration, absl::OkStatus());
  job.ExportEnded(checkpoint->iteration, absl::ResourceExhaustedError("the disk is full"));
  CHECK(job.Status(At(2)).failed_export() == *iteration);
  CHECK_THAT(job.Status(At(2)).export_error(), Catch::Contains("the disk is full"));
  job.CheckpointEnded();
  // The same iteration once more, since it is not there yet.
  CHECK(*job.RequestSnapshot("/elsewhere") == *iteration);
  CHECK(job.Status(At(2)).export_error().empty());
  const auto again = job.TakeCheckpoint();
  REQUIRE(again.has_value());
  CHECK(again->export_to == "/elsewhere");
  job.CheckpointFrozen(*again, 1);
  job.SnapshotEnded(again->iteration, absl::OkStatus());
  job.ExportEnded(again->iteration, std::string("/elsewhere/lenet_iter_1"));
  CHECK(job.Status(At(2)).exported_snapshot() == "/elsewhere/lenet_iter_1");
  job.CheckpointEnded();
  CHECK_FALSE(job.TakeCheckpoint().has_value());
}

TEST_CASE("a checkpoint whose servers were silent is due again, and one that they have no memory for is passed over") {
  v1::JobSpec spec = SpecOf(100);
  spec.mutable_solver()->set_snapshot(10);
  Job job(spec);
  Start(&job);
  const auto work_to = [&](uint64_t iteration) {
    while (job.Status(At(1)).iteration() < iteration) {
      const auto lease = job.Lease(kAnna, 1, At(0));
      REQUIRE(lease.has_value());
      job.Report(kAnna, "anna", DoneOf(*lease), At(1));
    }
  };
  work_to(10);
  // A server was silent when it was asked for its copy, and was heard of again.
  REQUIRE(job.TakeCheckpoint().has_value());
  job.Suspend("a server is gone");
  job.CheckpointNotBegun();
  job.Resume();
  const auto refused = job.TakeCheckpoint();
  REQUIRE(refused.has_value());
  CHECK(refused->iteration == 10);
  job.CheckpointRefused(*refused, absl::ResourceExhaustedError("no memory"));
  CHECK_THAT(job.Status(At(1)).snapshot_error(), Catch::Contains("snapshot at iteration 10: no memory"));
  CHECK(job.Status(At(1)).failed_snapshot() == 10);
  work_to(20);
  const auto next = job.TakeCheckpoint();
  REQUIRE(next.has_value());
  CHECK(next->iteration == 20);
  job.CheckpointFrozen(*next, 1);
  job.SnapshotEnded(20, absl::OkStatus());
  CHECK(job.Status(At(1)).snapshot_error().empty());
}

TEST_CASE("a snapshot that is asked for in a job of parts holds the iterations before it and no other") {
  v1::JobSpec spec = SpecOf(100);
  spec.mutable_consistency()->set_mode(v1::CONSISTENCY_SYNC);
  spec.mutable_consistency()->set_parts(1);
  Job job(spec);
  Start(&job);
  const auto lease = job.Lease(kAnna, 1, At(0));
  const auto iteration = job.RequestSnapshot();
  REQUIRE_OK(iteration);
  CHECK(*iteration == lease->train().end());
  job.Report(kAnna, "anna", DoneOf(*lease), At(1));
  CHECK_FALSE(job.Lease(kAnna, 1, At(1)).has_value());
  const auto checkpoint = job.TakeCheckpoint();
  REQUIRE(checkpoint.has_value());
  job.CheckpointFrozen(*checkpoint, 1);
  CHECK(job.Lease(kAnna, 1, At(1)).has_value());
}

TEST_CASE("a job that goes on from an iteration that was to be tested tests there, unless it has") {
  const bool tested = GENERATE(false, true);
  v1::JobRecord record;
  {
    Job job(WithTest(SpecOf(100), 4), 5);
    job.Begin();
    Start(&job);
    record = job.Record(At(1));
  }
  if (tested) record.mutable_status()->add_tests()->set_iteration(8);
  Job job(WithTest(SpecOf(100), 4), 5, record);
  Job::Plan plan;
  plan.servers = {"127.0.0.1:1"};
  plan.done.AddRange(0, 8);
  job.Start(plan, At(3));
  const auto checkpoint = job.TakeCheckpoint();
  REQUIRE(checkpoint.has_value() == !tested);
  if (!tested) CHECK(checkpoint->iteration == 8);
}

}  // namespace
}  // namespace samovar
