// A job holds its snapshots for a client that fetches them, and lists them.

#include <vector>

#include "absl/strings/str_cat.h"
#include "server/jobs/job.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

constexpr uint64_t kAnna = 1;

absl::Time At(double seconds) { return absl::UnixEpoch() + absl::Seconds(seconds); }

v1::JobSpec SpecOf(int max_iter, int snapshot, v1::ConsistencyMode mode) {
  v1::JobSpec spec;
  spec.set_job_id("lenet");
  spec.set_servers(1);
  spec.mutable_consistency()->set_mode(mode);
  spec.mutable_consistency()->set_parts(mode == v1::CONSISTENCY_SYNC ? 1 : 0);
  spec.set_fetches_snapshots(true);
  spec.mutable_solver()->set_max_iter(max_iter);
  spec.mutable_solver()->set_snapshot(snapshot);
  spec.mutable_solver()->set_base_lr(0.1f);
  spec.mutable_solver()->set_lr_policy("fixed");
  spec.mutable_train_data()->set_records(100);
  spec.mutable_train_data()->set_batch_size(10);
  spec.mutable_train_data()->set_partitions(1);
  return spec;
}

struct Training {
  explicit Training(v1::JobSpec spec) : job(std::move(spec)) {
    Job::Plan plan;
    plan.servers = {"127.0.0.1:1"};
    job.Start(plan, At(0));
  }

  // Trains and takes snapshots until neither goes on. Returns the iterations of the snapshots.
  std::vector<uint64_t> Go() {
    std::vector<uint64_t> taken;
    for (bool moved = true; std::exchange(moved, false);) {
      while (const auto lease = job.Lease(kAnna, 1, At(1))) {
        v1::WorkerReport report;
        for (uint64_t t = lease->train().begin(); t < lease->train().end(); ++t) {
          v1::TrainResult* result = report.add_train();
          result->set_job_id(lease->job_id());
          result->set_lease_id(lease->lease_id());
          result->set_iteration(t);
        }
        job.Report(kAnna, "anna", report, At(1));
        moved = true;
      }
      if (const auto checkpoint = job.TakeCheckpoint()) {
        moved = true;
        taken.push_back(checkpoint->iteration);
        job.CheckpointFrozen(*checkpoint, 1);
        job.SnapshotEnded(checkpoint->iteration, absl::OkStatus());
        job.CheckpointEnded();
      }
    }
    return taken;
  }
  std::string Cause() const { return job.Status(At(1)).cause(); }

  Job job;
};

TEST_CASE("training waits before a further snapshot while three have not been fetched, and says so") {
  for (const v1::ConsistencyMode mode : {v1::CONSISTENCY_ASYNC, v1::CONSISTENCY_SYNC}) {
    Training training(SpecOf(100, 10, mode));
    CHECK(training.Go() == std::vector<uint64_t>{10, 20, 30});
    CHECK(training.job.unfetched() == std::set<uint64_t>{10, 20, 30});
    CHECK_THAT(training.Cause(),
               Catch::Contains("waits until its client has fetched the snapshots of iterations 10, 20, 30"));
    CHECK(training.job.Status(At(1)).iteration() <= 50);
    training.job.Acknowledge({10, 20, 77});
    CHECK(training.Cause().empty());
    CHECK(training.Go() == std::vector<uint64_t>{40, 50});
    CHECK(training.job.unfetched() == std::set<uint64_t>{30, 40, 50});
  }
}

TEST_CASE("a job whose client fetches nothing is not held up") {
  v1::JobSpec spec = SpecOf(100, 10, v1::CONSISTENCY_SYNC);
  spec.set_fetches_snapshots(false);
  Training training(spec);
  CHECK(training.Go() == std::vector<uint64_t>{10, 20, 30, 40, 50, 60, 70, 80, 90});
  CHECK(training.job.unfetched().empty());
}

TEST_CASE("a client that is gone for long is waited for no more, which is told") {
  Training training(SpecOf(100, 10, v1::CONSISTENCY_SYNC));
  training.Go();
  training.job.ReviewHold(At(10));
  training.job.ReviewHold(At(300));
  CHECK(training.Go().empty());
  training.job.Acknowledge({10});
  CHECK(training.Go() == std::vector<uint64_t>{40});
  // It has fetched one since.
  training.job.ReviewHold(At(700));
  training.job.ReviewHold(At(1200));
  CHECK(training.Go().empty());
  training.job.ReviewHold(At(1301));
  CHECK(training.Go() == std::vector<uint64_t>{50, 60, 70, 80, 90});
  REQUIRE(training.job.Status(At(1)).notices_size() == 1);
  CHECK_THAT(training.job.Status(At(1)).notices(0), Catch::Contains("20, 30, 40 are no longer held for it"));
}

TEST_CASE("a snapshot that the servers no longer hold leaves the job's list") {
  Training training(SpecOf(100, 10, v1::CONSISTENCY_SYNC));
  training.Go();
  training.job.SnapshotsHeld({20, 30, 500});
  const v1::JobStatus status = training.job.Status(At(1));
  CHECK(std::vector<uint64_t>(status.snapshots().begin(), status.snapshots().end()) == std::vector<uint64_t>{20, 30});
  CHECK(training.job.unfetched() == std::set<uint64_t>{20, 30});
}

TEST_CASE("after a last snapshot that is asked for training goes no further, after any other it goes on") {
  Training training(SpecOf(100, 0, v1::CONSISTENCY_ASYNC));
  const auto lease = training.job.Lease(kAnna, 1, At(1));
  REQUIRE(lease.has_value());
  const auto asked = training.job.RequestSnapshot();
  REQUIRE_OK(asked);
  CHECK(*asked == lease->train().end());
  training.job.ReleaseWorker(kAnna);
  const auto again = training.job.RequestSnapshot("", /*last=*/true);
  REQUIRE_OK(again);
  CHECK(*again == *asked);
  CHECK(training.Go() == std::vector<uint64_t>{*asked});
  CHECK(training.job.Status(At(1)).iteration() == *asked);
  CHECK_THAT(training.Cause(), Catch::Contains(absl::StrCat("goes no further than iteration ", *asked)));

  Training other(SpecOf(100, 0, v1::CONSISTENCY_ASYNC));
  REQUIRE(other.job.Lease(kAnna, 1, At(1)).has_value());
  REQUIRE_OK(other.job.RequestSnapshot());
  other.job.ReleaseWorker(kAnna);
  other.Go();
  CHECK(other.job.Status(At(1)).iteration() == 100);
}

TEST_CASE("another coordinator holds on to what the client has yet to fetch") {
  v1::JobRecord record;
  {
    Training training(SpecOf(100, 10, v1::CONSISTENCY_SYNC));
    training.Go();
    record = training.job.Record(At(1));
  }
  const Job job(SpecOf(100, 10, v1::CONSISTENCY_SYNC), 0, record);
  CHECK(job.unfetched() == std::set<uint64_t>{10, 20, 30});
}

TEST_CASE("another coordinator lists and holds the snapshots that the one before did not live to record") {
  v1::JobRecord record;
  {
    Training training(SpecOf(100, 10, v1::CONSISTENCY_SYNC));
    training.Go();
    training.job.Acknowledge({10});
    record = training.job.Record(At(1));
  }
  Job job(SpecOf(100, 10, v1::CONSISTENCY_SYNC), 0, record);
  Job::Plan plan;
  plan.servers = {"127.0.0.1:1"};
  plan.done.AddRange(0, 50);
  job.Start(plan, At(0));
  // One beyond what the job holds is not a snapshot of it.
  job.SnapshotsFound({10, 20, 40, 50, 60});
  const v1::JobStatus status = job.Status(At(1));
  CHECK(std::vector<uint64_t>(status.snapshots().begin(), status.snapshots().end()) ==
        std::vector<uint64_t>{10, 20, 30, 40, 50});
  CHECK(job.unfetched() == std::set<uint64_t>{20, 30, 40, 50});
}

}  // namespace
}  // namespace samovar
