#include "server/jobs/skipped_iterations.h"

#include "server/jobs/job.h"
#include "tests/server/jobs/test_job.h"
#include "tests/support/catch.h"

namespace samovar {
namespace {

Ledger LedgerOf(const std::vector<IterationRange>& ranges) {
  Ledger ledger;
  for (const IterationRange& range : ranges) ledger.AddRange(range.begin, range.end);
  return ledger;
}

// Anna does all that there is to lease, and skips the iterations below `end`.
void TrainSkipping(Job* job, uint64_t end) {
  while (const auto lease = job->Lease(kAnna, 1, At(0))) {
    v1::WorkerReport report = DoneOf(*lease);
    for (v1::TrainResult& result : *report.mutable_train()) {
      if (result.iteration() < end) result.set_skipped("the loss is nan");
      // All but these chunks had skipped it.
      if (result.iteration() == 50) result.set_updated_chunks(1);
    }
    job->Report(kAnna, "anna", report, At(1));
  }
}

Job::Plan PlanOf(const Ledger& done) {
  Job::Plan plan;
  plan.epoch = 3;
  plan.chunk_elements = 8;
  plan.servers = {"127.0.0.1:1"};
  plan.done = done;
  return plan;
}

TEST_CASE("a skipped iteration counts once, and not while it is computed again") {
  SkippedIterations skipped;
  for (const uint64_t t : {0, 1, 2, 7, 7, 9}) skipped.Add(t);
  CHECK(skipped.count() == 5);
  skipped.KeepOnly(LedgerOf({{1, 3}, {5, 8}}));
  CHECK(skipped.count() == 3);
  skipped.Add(9);
  CHECK(skipped.count() == 4);
}

TEST_CASE("what an earlier coordinator counted stays counted, until the job has gone back to its beginning") {
  SkippedIterations before;
  // Ranges that do not touch, and more of them than are kept.
  const uint64_t ranges = SkippedIterations::kMaxRanges + 10;
  for (uint64_t i = 0; i < ranges; ++i) before.Add(2 * i + 1);
  CHECK(before.count() == ranges);
  CHECK(before.ToProto().beyond_size() <= static_cast<int>(SkippedIterations::kMaxRanges));
  SkippedIterations after;
  after.Restore(before.count(), before.ToProto());
  CHECK(after.count() == ranges);
  // The newest are known.
  after.KeepOnly(LedgerOf({{0, 2 * ranges - 1}}));
  CHECK(after.count() == ranges - 1);
  after.KeepOnly(Ledger());
  CHECK(after.count() == 0);
}

TEST_CASE("a damaged set of skipped iterations is counted as it was") {
  v1::Ledger damaged;
  damaged.add_beyond()->set_begin(9);
  SkippedIterations skipped;
  skipped.Restore(7, damaged);
  CHECK(skipped.count() == 7);
}

TEST_CASE("iterations that were skipped and are computed again after a loss count by their last report") {
  Job job(SpecOf(4));
  Start(&job);
  TrainSkipping(&job, 3);
  CHECK(job.Status(At(1)).skipped_iterations() == 3);
  // A server has come back without the last three.
  job.Recovered(PlanOf(LedgerOf({{0, 1}})));
  CHECK(job.Status(At(2)).skipped_iterations() == 1);
  TrainSkipping(&job, 2);
  CHECK(job.Status(At(3)).completed_iterations() == 4);
  CHECK(job.Status(At(3)).skipped_iterations() == 2);
}

TEST_CASE("a coordinator that takes a job up goes on with the skipped iterations that are done") {
  v1::JobRecord record;
  {
    Job job(SpecOf(8));
    job.Begin();
    Start(&job);
    TrainSkipping(&job, 4);
    record = job.Record(At(1));
  }
  Job job(SpecOf(8), 0, record);
  CHECK(job.Status(At(2)).skipped_iterations() == 4);
  job.Start(PlanOf(LedgerOf({{0, 1}, {2, 3}})), At(2));
  CHECK(job.Status(At(2)).skipped_iterations() == 2);
}

TEST_CASE("an iteration that all chunks had before its worker found it not finite counts as applied, without a loss") {
  Job job(SpecOf(10));
  Start(&job);
  const auto lease = job.Lease(kAnna, 1, At(0));
  REQUIRE(lease->train().end() > 1);
  v1::WorkerReport report = DoneOf(*lease, 2);
  // The last one, whose loss the status shows.
  v1::TrainResult* const last = report.mutable_train(report.train_size() - 1);
  last->clear_loss();
  last->clear_outputs();
  last->set_applied_before(true);
  job.Report(kAnna, "anna", report, At(1));
  const v1::JobStatus status = job.Status(At(1));
  CHECK(status.completed_iterations() == static_cast<uint64_t>(report.train_size()));
  CHECK(status.skipped_iterations() == 0);
  CHECK(status.notices_size() == 0);
  CHECK(status.loss() == 2);
}

TEST_CASE("beyond the first notices, skipped iterations that are updated in some chunks are in the job's log") {
  Job job(SpecOf(100));
  Start(&job);
  TrainSkipping(&job, 100);
  CHECK(job.Status(At(1)).skipped_iterations() == 100);
  uint64_t told = 0;
  for (const v1::JobEvent& event : job.EventsAfter(0)) told += event.text().find("was skipped") != std::string::npos;
  CHECK(told == 5);
}

}  // namespace
}  // namespace samovar
