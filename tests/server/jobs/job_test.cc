#include "server/jobs/job.h"

#include "absl/strings/match.h"
#include "tests/server/jobs/test_job.h"
#include "tests/support/catch.h"

namespace samovar {
namespace {

TEST_CASE("a job leases nothing before it runs and nothing after it ended") {
  Job job(SpecOf(10));
  CHECK_FALSE(job.Lease(kAnna, 1, At(0)).has_value());
  CHECK_FALSE(job.Assignment().has_value());
  Start(&job);
  const auto lease = job.Lease(kAnna, 1, At(0));
  REQUIRE(lease.has_value());
  CHECK(lease->epoch() == 3);
  CHECK(job.Assignment()->epoch() == 3);
  job.End(v1::JOB_STATE_CANCELLED, "enough", At(1));
  CHECK(job.TakeRevoked(kAnna) == std::vector<uint64_t>{lease->lease_id()});
  CHECK_FALSE(job.Lease(kAnna, 1, At(1)).has_value());
  CHECK_FALSE(job.Assignment().has_value());
  CHECK(job.Status(At(1)).cause() == "enough");
}

TEST_CASE("the first end of a job counts") {
  Job job(SpecOf(10));
  Start(&job);
  job.End(v1::JOB_STATE_FAILED, "a NaN", At(1));
  job.End(v1::JOB_STATE_SUCCEEDED, "", At(2));
  CHECK(job.Status(At(2)).state() == v1::JOB_STATE_FAILED);
  CHECK(job.Status(At(2)).cause() == "a NaN");
}

TEST_CASE("a job's end waits for the ledgers: what they lack is leased again") {
  Job job(SpecOf(10));
  Start(&job);
  CHECK(TrainAll(&job) == 10);
  CHECK(job.AwaitsVerification());
  CHECK_FALSE(job.TakeCheckpoint().has_value());
  Ledger held;
  held.AddRange(0, 4);
  held.AddRange(6, 10);
  job.Verified(held, v1::LedgerSummary());
  CHECK_FALSE(job.AwaitsVerification());
  const auto lease = job.Lease(kBoris, 2, At(2));
  REQUIRE(lease.has_value());
  CHECK(lease->train().begin() == 4);
  job.Report(kBoris, "boris", DoneOf(*lease), At(2));
  TrainAll(&job, 3);
  held.AddRange(4, 6);
  job.Verified(held, v1::LedgerSummary());
  const auto last = job.TakeCheckpoint();
  REQUIRE(last.has_value());
  CHECK(last->iteration == 10);
  CHECK(last->persist);
}

TEST_CASE("a skipped iteration is done, counted and told, and its loss is in no mean") {
  Job job(SpecOf(10));
  Start(&job);
  const auto lease = job.Lease(kAnna, 1, At(0));
  v1::WorkerReport report = DoneOf(*lease, 2);
  report.mutable_train(1)->set_skipped("the loss is nan (blob \"loss\")");
  report.mutable_train(1)->clear_loss();
  job.Report(kAnna, "anna", report, At(1));
  const v1::JobStatus status = job.Status(At(1));
  CHECK(status.completed_iterations() == static_cast<uint64_t>(report.train_size()));
  CHECK(status.skipped_iterations() == 1);
  REQUIRE(status.notices_size() == 1);
  CHECK(status.notices(0) == "iteration 1 was skipped: the loss is nan (blob \"loss\")");
  CHECK(status.loss() == 2);
}

TEST_CASE("repeated and foreign reports count nothing") {
  Job job(SpecOf(10));
  Start(&job);
  const auto lease = job.Lease(kAnna, 1, At(0));
  v1::WorkerReport report = DoneOf(*lease);
  const uint64_t size = lease->train().end() - lease->train().begin();
  CHECK(job.Report(kAnna, "anna", report, At(1)) == size);
  CHECK(job.Report(kAnna, "anna", report, At(2)) == 0);
  for (v1::TrainResult& result : *report.mutable_train()) result.set_job_id("another");
  CHECK(job.Report(kAnna, "anna", report, At(3)) == 0);
  report = v1::WorkerReport();
  report.add_train()->set_job_id("lenet");
  report.mutable_train(0)->set_iteration(1u << 30);
  CHECK(job.Report(kAnna, "anna", report, At(4)) == 0);
  CHECK(job.Status(At(4)).samples() == size * kBatch);
}

TEST_CASE("a resumed job leases only what some chunk lacks") {
  Job job(SpecOf(10));
  Job::Plan plan;
  plan.done.AddRange(0, 6);
  plan.done.AddRange(7, 8);
  plan.resumed_from = 6;
  job.Start(plan, At(0));
  Ledger leased;
  while (const auto lease = job.Lease(kAnna, 1, At(1))) {
    leased.AddRange(lease->train().begin(), lease->train().end());
    job.Report(kAnna, "anna", DoneOf(*lease), At(1));
  }
  CHECK(leased.size() == 3);
  CHECK_FALSE(leased.Contains(7));
  CHECK(job.Status(At(1)).resumed_from() == 6);
}

TEST_CASE("samples are those of this run: what an earlier one consumed, perhaps in other batches, is not counted") {
  Job job(SpecOf(10));
  Job::Plan plan;
  plan.done.AddRange(0, 6);
  plan.resumed_from = 6;
  job.Start(plan, At(0));
  CHECK(job.Status(At(1)).samples() == 0);
  const auto lease = job.Lease(kAnna, 1, At(1));
  job.Report(kAnna, "anna", DoneOf(*lease), At(2));
  CHECK(job.Status(At(2)).completed_iterations() == 6 + lease->train().end() - lease->train().begin());
  CHECK(job.Status(At(2)).samples() == (lease->train().end() - lease->train().begin()) * kBatch);
}

TEST_CASE("samples are those of all batches of an iteration") {
  v1::JobSpec spec = SpecOf(6);
  spec.mutable_solver()->set_iter_size(4);
  Job job(spec);
  Start(&job);
  CHECK(TrainAll(&job) == 6);
  CHECK(job.Status(At(2)).samples() == 6 * 4 * kBatch);
}

TEST_CASE("watchers are woken by changes") {
  Job job(SpecOf(10));
  const uint64_t seen = job.AwaitChange(0, absl::InfiniteDuration());
  CHECK(job.AwaitChange(seen, absl::ZeroDuration()) == seen);
  Start(&job);
  CHECK(job.AwaitChange(seen, absl::InfiniteDuration()) > seen);
}

TEST_CASE("a job in parts reports the means of each iteration's parts") {
  Job job(InParts(SpecOf(100), 2));
  Start(&job);
  // Anna, who was given everything, comes back when Boris is known to ask for work, too.
  const auto all = job.Lease(kAnna, 2, At(0));
  job.Lease(kBoris, 2, At(0));
  CHECK(job.Holds(kAnna, all->lease_id()));
  job.ReleaseWorker(kAnna);
  CHECK_FALSE(job.Holds(kAnna, all->lease_id()));
  const auto anna = job.Lease(kAnna, 2, At(0));
  const auto boris = job.Lease(kBoris, 2, At(0));
  REQUIRE(anna->parts_size() == 1);
  REQUIRE(boris->parts(0) == 1);
  CHECK(job.LeaseNames()[kBoris] == std::vector<std::string>{"train 0..4 parts 1"});
  v1::WorkerReport first = DoneOf(*anna, 1);
  v1::WorkerReport second = DoneOf(*boris, 4);
  for (v1::TrainResult& result : *second.mutable_train()) result.set_part(1);
  CHECK(job.Report(kAnna, "anna", first, At(1)) == 0);
  CHECK(job.Status(At(1)).completed_iterations() == 0);
  CHECK(job.Report(kBoris, "boris", second, At(1)) == 4);
  const v1::JobStatus status = job.Status(At(1));
  CHECK(status.completed_iterations() == 4);
  CHECK(status.samples() == 4 * kBatch);
  CHECK(status.loss() == 2.5);
  CHECK(status.outputs(0).value() == 2.5);
  CHECK(status.consistency().mode() == v1::CONSISTENCY_SYNC);
  CHECK(status.consistency().parts() == 2);
}

TEST_CASE("a job that was begun with another order of its parts says from which iteration on it differs") {
  const auto notices_of = [](uint32_t parts, v1::PartSumOrder order, uint64_t begin) {
    v1::JobSpec spec = InParts(SpecOf(20), parts);
    spec.mutable_consistency()->set_part_sum_order(order);
    Job job(spec, 1);
    Job::Plan plan;
    plan.epoch = 3;
    plan.chunk_elements = 8;
    plan.servers = {"127.0.0.1:1"};
    plan.done.AddRange(0, begin);
    job.Start(plan, At(0));
    return job.Status(At(1)).notices();
  };
  const auto notices = notices_of(5, v1::PART_SUM_ORDER_SEQUENCE, 7);
  REQUIRE(notices.size() == 1);
  CHECK(absl::StrContains(notices[0], "from iteration 7 on they are added up in a tree"));
  CHECK(notices_of(5, v1::PART_SUM_ORDER_SEQUENCE, 0).empty());
  CHECK(notices_of(5, v1::PART_SUM_ORDER_TREE, 7).empty());
  // Their order is the same.
  CHECK(notices_of(3, v1::PART_SUM_ORDER_SEQUENCE, 7).empty());
}

}  // namespace
}  // namespace samovar
