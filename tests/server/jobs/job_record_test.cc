// A job's log, and the record that the next coordinator takes it up from.

#include "absl/strings/match.h"
#include "server/jobs/job.h"
#include "tests/server/jobs/test_job.h"
#include "tests/support/catch.h"

namespace samovar {
namespace {

TEST_CASE("a job's log tells what happened to it, and whose work others got") {
  Job job(WithTest(SpecOf(8), 4));
  Start(&job);
  const auto test = job.TakeCheckpoint();
  REQUIRE(test.has_value());
  job.CheckpointFrozen(*test, 1);
  while (const auto lease = job.Lease(kBoris, 1, At(0))) {
    if (!lease->has_test()) break;
    job.Report(kBoris, "boris", TestedOf(*lease, 0.5), At(0));
  }
  job.ReleaseWorker(kBoris, "worker boris has left");
  job.SnapshotEnded(4, absl::ResourceExhaustedError("the disk is full"));
  job.End(v1::JOB_STATE_FAILED, "no more", At(1));
  std::vector<std::string> texts;
  for (const v1::JobEvent& event : job.EventsAfter(0)) {
    CHECK(event.number() == texts.size() + 1);
    texts.push_back(event.text());
  }
  REQUIRE(texts.size() == 6);
  CHECK(texts[0] == "submitted");
  CHECK(texts[1] == "runs on 127.0.0.1:1");
  CHECK(texts[2] == "test of net 0 at iteration 0 with 100 records: accuracy = 0.5");
  CHECK(texts[3] == "worker boris has left; others get what it held: train 0..4");
  CHECK(texts[4] == "snapshot at iteration 4: the disk is full; training goes on");
  CHECK(texts[5] == "FAILED: no more");
  CHECK(job.EventsAfter(5).size() == 1);
}

TEST_CASE("a log of many events keeps the newest") {
  EventLog log;
  for (size_t i = 0; i < EventLog::kMaxEvents + 3; ++i) log.Add(v1::JobEvent::KIND_TEST, "test", absl::UnixEpoch());
  CHECK(log.After(0).size() == EventLog::kMaxEvents);
  CHECK(log.After(0).front().number() == 4);
  CHECK(log.newest() == EventLog::kMaxEvents + 3);
}

TEST_CASE("a job that was running is taken up again without the results that it has not come to") {
  v1::JobRecord record;
  {
    Job job(WithTest(SpecOf(100), 4), 5);
    job.Begin();
    Start(&job);
    for (uint64_t iteration : {4, 8}) job.SnapshotEnded(iteration, absl::OkStatus());
    record = job.Record(At(1));
  }
  CHECK(record.status().state() == v1::JOB_STATE_RUNNING);
  record.mutable_status()->add_tests()->set_iteration(4);
  record.mutable_status()->add_tests()->set_iteration(8);
  record.mutable_status()->set_resumed_from(1);
  Job job(WithTest(SpecOf(100), 4), 5, record);
  CHECK(job.recovered());
  CHECK(job.Status(At(2)).state() == v1::JOB_STATE_QUEUED);
  Job::Plan plan;
  plan.servers = {"127.0.0.1:1"};
  plan.done.AddRange(0, 4);
  plan.resumed_from = 4;
  job.Start(plan, At(3));
  const v1::JobStatus status = job.Status(At(3));
  CHECK(status.recovered());
  // It is the same run as before.
  CHECK(status.resumed_from() == 1);
  CHECK(status.samples() == 3 * kBatch);
  REQUIRE(status.tests_size() == 1);
  CHECK(status.tests(0).iteration() == 4);
  REQUIRE(status.snapshots_size() == 1);
  CHECK(status.snapshots(0) == 4);
}

TEST_CASE("a job that is taken up again has the lines of its display, and says which are lost") {
  v1::JobSpec spec = SpecOf(1000);
  spec.mutable_solver()->set_display(5);
  v1::JobRecord record;
  {
    Job job(spec, 5);
    job.Begin();
    Start(&job);
    while (job.Status(At(1)).iteration() < 20) job.Report(1, "anna", DoneOf(*job.Lease(1, 1, At(1))), At(1));
    record = job.Record(At(1));
    CHECK(job.Record(At(1), job.displays_end()).displays().empty());
  }
  const uint64_t done = record.displayed();
  REQUIRE(done >= 20);
  const bool lost = GENERATE(false, true);
  Job job(spec, 5, record);
  CHECK(job.DisplaysFrom(0).size() == static_cast<size_t>(record.displays_size()));
  Job::Plan plan;
  plan.servers = {"127.0.0.1:1"};
  plan.done.AddRange(0, lost ? 500 : 10);
  job.Start(plan, At(3));
  const v1::JobStatus status = job.Status(At(3));
  REQUIRE(status.notices_size() == (lost ? 1 : 0));
  if (lost) CHECK(absl::StrContains(status.notices(0), "to 495 was lost with the coordinator before this one"));
}

std::vector<uint64_t> IterationsOf(const std::optional<std::vector<v1::HistoryBlock>>& blocks) {
  std::vector<uint64_t> iterations;
  REQUIRE(blocks.has_value());
  for (const v1::HistoryBlock& block : *blocks)
    iterations.insert(iterations.end(), block.iterations().begin(), block.iterations().end());
  return iterations;
}

void TrainTo(Job* job, uint64_t iteration, double seconds) {
  while (job->Status(At(seconds)).iteration() < iteration)
    job->Report(1, "anna", DoneOf(*job->Lease(1, 1, At(seconds))), At(seconds));
}

TEST_CASE("a job keeps its curve until it has ended and the table has it, and goes on with it when taken up again") {
  v1::JobRecord record;
  HistoryBlocks table;
  uint64_t kept = 0;
  const auto store = [&table](Job* job) {
    JobHistory::Changes changes = job->TakeHistoryChanges();
    for (auto& [key, block] : changes.written) table[key] = std::move(block);
    job->HistoryStored(changes.version);
  };
  {
    Job job(SpecOf(200), 5);
    CHECK_FALSE(job.history_unsaved());
    job.Begin();
    Start(&job);
    TrainTo(&job, 20, 1);
    CHECK(job.history_unsaved());
    store(&job);
    CHECK_FALSE(job.history_unsaved());
    kept = IterationsOf(job.History()).size();
    CHECK(kept >= 20);
    record = job.Record(At(1));
    TrainTo(&job, kept + 1, 1);
  }
  Job job(SpecOf(200), 5, record);
  // Until it is taken up the table has it.
  CHECK_FALSE(job.History().has_value());
  CHECK_FALSE(job.history_unsaved());
  CHECK(job.awaits_history());
  job.RestoreHistory(table);
  CHECK_FALSE(job.awaits_history());
  Job::Plan plan;
  plan.servers = {"127.0.0.1:1"};
  plan.done.AddRange(0, 10);
  job.Start(plan, At(3));
  TrainTo(&job, 200, 5);
  std::vector<uint64_t> all;
  for (uint64_t t = 0; t < 200; ++t) all.push_back(t);
  CHECK(IterationsOf(job.History()) == all);
  store(&job);
  CHECK(job.History().has_value());
  // Nothing is to be written any more, but its memory is to be given back.
  job.End(v1::JOB_STATE_SUCCEEDED, "", At(6));
  CHECK(job.history_unsaved());
  store(&job);
  CHECK_FALSE(job.history_unsaved());
  CHECK_FALSE(job.History().has_value());
  CHECK(IterationsOf(InOrder(table, 1)) == all);
}

TEST_CASE("a job whose curve could not be read goes on without, and writes none over it") {
  v1::JobRecord record;
  {
    Job job(SpecOf(50), 5);
    job.Begin();
    Start(&job);
    record = job.Record(At(1));
  }
  Job job(SpecOf(50), 5, record);
  Start(&job);
  TrainTo(&job, 50, 1);
  CHECK_FALSE(job.History().has_value());
  CHECK_FALSE(job.history_unsaved());
  CHECK(job.TakeHistoryChanges().empty());
}

TEST_CASE("a job that had ended is as it was") {
  v1::JobRecord record;
  {
    Job job(SpecOf(10), 5);
    Start(&job);
    TrainAll(&job);
    job.End(v1::JOB_STATE_SUCCEEDED, "", At(2));
    record = job.Record(At(2));
  }
  const Job job(SpecOf(10), 5, record);
  CHECK(job.ended());
  CHECK_FALSE(job.recovered());
  const v1::JobStatus status = job.Status(At(100));
  CHECK(status.SerializeAsString() == record.status().SerializeAsString());
  CHECK(status.completed_iterations() == 10);
  CHECK(status.servers_size() == 1);
  CHECK(job.newest_event() == record.events().rbegin()->number());
}

TEST_CASE("what a job's record says in words is bounded as what is said anew") {
  v1::JobRecord record;
  record.mutable_status()->set_state(v1::JOB_STATE_FAILED);
  const std::string hostile = std::string(1 << 20, 'x') + "\x1b[2J\nforged";
  record.mutable_status()->set_cause(hostile);
  record.mutable_status()->set_snapshot_error(hostile);
  for (int i = 0; i < 1000; ++i) record.mutable_status()->add_notices(hostile);
  for (uint64_t number : {5, 4, 6}) {
    record.add_events()->set_number(number);
    record.mutable_events()->rbegin()->set_text(hostile);
  }
  for (uint64_t number = 7; number < 3000; ++number) record.add_events()->set_number(number);
  const Job job(SpecOf(10), 1, record);
  const v1::JobStatus status = job.Status(At(0));
  CHECK(status.notices_size() == 32);
  CHECK(status.dropped_notices() == 968);
  CHECK(status.ByteSizeLong() < 34 * 5000);
  CHECK_FALSE(absl::StrContains(status.cause(), "\n"));
  CHECK(job.EventsAfter(0).size() == EventLog::kMaxEvents);
  CHECK(job.newest_event() == 2999);
}

}  // namespace
}  // namespace samovar
