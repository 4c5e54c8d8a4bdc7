// A job's leases to workers, of training and of tests, and its treatment of their failures.

#include "server/jobs/job.h"
#include "server/jobs/job_spec.h"
#include "tests/server/jobs/test_job.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

TEST_CASE("a silent worker's test slices go to another") {
  Job job(WithTest(SpecOf(100), 50));
  Start(&job);
  const auto checkpoint = job.TakeCheckpoint();
  job.CheckpointFrozen(*checkpoint, 1);
  const auto first = job.Lease(kAnna, 2, At(0));
  REQUIRE(first->has_test());
  job.ReleaseWorker(kAnna);
  const auto again = job.Lease(kBoris, 2, At(1));
  REQUIRE(again->has_test());
  CHECK(again->test().begin() == first->test().begin());
  CHECK(job.Status(At(1)).releases() == 1);
}

TEST_CASE("a permanent failure ends the job with the worker's words, a passing one gives the lease to another") {
  Job job(SpecOf(10));
  Start(&job);
  const auto lease = job.Lease(kAnna, 2, At(0));
  v1::WorkerReport report;
  v1::WorkFailure* failure = report.add_failures();
  failure->set_job_id("lenet");
  failure->set_lease_id(lease->lease_id());
  failure->set_message("server 127.0.0.1:1 is busy");
  job.Report(kAnna, "anna", report, At(1));
  CHECK(job.Status(At(1)).state() == v1::JOB_STATE_RUNNING);
  CHECK(job.Lease(kBoris, 2, At(1))->train().begin() == lease->train().begin());
  failure->set_permanent(true);
  failure->set_message("layer loss: NaN");
  job.Report(kAnna, "anna", report, At(2));
  CHECK(job.Status(At(2)).state() == v1::JOB_STATE_FAILED);
  CHECK(job.Status(At(2)).cause() == "worker anna: layer loss: NaN");
}

TEST_CASE("a job says once that it has more workers than it can use without loss, and with fewer nothing") {
  Job job(SpecOf(1000));
  Start(&job);
  REQUIRE(job.Lease(kAnna, 4, At(1)).has_value());
  CHECK(job.Status(At(1)).notices_size() == 0);
  REQUIRE(job.Lease(kBoris, 5, At(2)).has_value());
  REQUIRE(job.Lease(kAnna, 6, At(3)).has_value());
  REQUIRE(job.Status(At(3)).notices_size() == 1);
  CHECK_THAT(job.Status(At(3)).notices(0),
             Catch::StartsWith("in async mode 5 workers cost accuracy: 1000 iterations are "
                               "enough for 4 workers"));
}

TEST_CASE(
    "the first failure that may pass is told at once, and later ones after a while: a worker may fail beside others") {
  Job job(SpecOf(10));
  Start(&job);
  v1::WorkerReport failed;
  v1::WorkFailure* failure = failed.add_failures();
  failure->set_job_id("lenet");
  failure->set_message("cannot open train_lmdb");
  const auto fail = [&](int second) { job.Report(kAnna, "anna", failed, At(second)); };
  const auto advance = [&](int second) {
    const auto lease = job.Lease(kBoris, 1, At(second));
    REQUIRE(lease.has_value());
    job.Report(kBoris, "boris", DoneOf(*lease), At(second));
  };
  fail(1);
  REQUIRE(job.Status(At(1)).notices_size() == 1);
  CHECK(job.Status(At(1)).notices(0) == "worker anna: cannot open train_lmdb; it is tried again");
  fail(2);
  advance(3);
  fail(4);
  CHECK(job.Status(At(4)).notices_size() == 1);
  advance(60);
  fail(62);
  CHECK(job.Status(At(62)).notices_size() == 2);
}

TEST_CASE("failures end a job only if they go on for a while: when a server is restarted all workers fail at once") {
  Job job(SpecOf(10));
  Start(&job);
  v1::WorkerReport report;
  v1::WorkFailure* failure = report.add_failures();
  failure->set_job_id("lenet");
  failure->set_message("cannot open train_lmdb");
  for (int i = 0; i < 100; ++i) job.Report(kAnna, "anna", report, At(1));
  CHECK(job.Status(At(1)).state() == v1::JOB_STATE_RUNNING);
  job.Report(kBoris, "boris", report, At(17));
  CHECK(job.Status(At(17)).state() == v1::JOB_STATE_FAILED);
  CHECK(job.Status(At(17)).cause() ==
        "gave up after 101 failures without progress; the last: worker boris: cannot open train_lmdb");
}

TEST_CASE("a suspended job leases nothing, revokes what is leased, and does not count failures") {
  Job job(SpecOf(10));
  Start(&job);
  const auto lease = job.Lease(kAnna, 1, At(0));
  REQUIRE(lease.has_value());
  job.Suspend("server a:1 is gone");
  CHECK(job.Status(At(1)).state() == v1::JOB_STATE_RUNNING);
  CHECK(job.Status(At(1)).cause() == "server a:1 is gone");
  CHECK_FALSE(job.Lease(kBoris, 1, At(1)).has_value());
  CHECK_FALSE(job.Holds(kAnna, lease->lease_id()));
  CHECK(job.TakeRevoked(kAnna) == std::vector<uint64_t>{lease->lease_id()});
  v1::WorkerReport report;
  report.add_failures()->set_job_id("lenet");
  for (int i = 0; i < 100; ++i) job.Report(kAnna, "anna", report, At(i));
  CHECK(job.Status(At(100)).state() == v1::JOB_STATE_RUNNING);
  job.Resume();
  CHECK(job.Status(At(100)).cause().empty());
  CHECK(job.Lease(kBoris, 1, At(100))->train().begin() == lease->train().begin());
}

TEST_CASE("a test that was under way when servers were lost is made anew, once, and old reports of it count nothing") {
  Job job(WithTest(SpecOf(20), 5));
  Start(&job);
  REQUIRE(job.TakeCheckpoint().has_value());
  job.CheckpointFrozen({0, false, true}, 1);
  const auto old = job.Lease(kAnna, 1, At(1));
  REQUIRE(old->has_test());
  Job::Plan plan;
  plan.epoch = 3;
  plan.servers = {"127.0.0.1:2"};
  job.Recovered(plan);
  CHECK(job.Assignment()->servers(0) == "127.0.0.1:2");
  CHECK(job.Assignment()->placement() == 1);
  const auto again = job.TakeCheckpoint();
  REQUIRE(again.has_value());
  CHECK(again->iteration == 0);
  CHECK(again->test);
  job.CheckpointFrozen(*again, 1);
  job.Report(kAnna, "anna", TestedOf(*old, 1), At(3));
  CHECK(job.Status(At(3)).tests().empty());
  while (const auto lease = job.Lease(kAnna, 1, At(3))) {
    if (!lease->has_test()) break;
    job.Report(kAnna, "anna", TestedOf(*lease, 1), At(3));
  }
  CHECK(job.Status(At(3)).tests_size() == 1);
}

TEST_CASE(
    "failures of leases from before the servers began again are not counted: what was computed then is refused there") {
  Job job(SpecOf(10));
  Start(&job);
  v1::WorkerReport report;
  v1::WorkFailure* failure = report.add_failures();
  failure->set_job_id("lenet");
  failure->set_lease_id(job.Lease(kAnna, 1, At(0))->lease_id());
  Job::Plan plan;
  plan.epoch = 3;
  plan.servers = {"127.0.0.1:2"};
  plan.opening = 9;
  job.Recovered(plan);
  CHECK(job.Assignment()->opening() == 9);
  const uint64_t told = job.newest_event();
  for (int i = 0; i < 100; ++i) job.Report(kAnna, "anna", report, At(1 + i));
  CHECK(job.running());
  CHECK(job.newest_event() == told);
  // Those of a lease from after it are.
  failure->set_lease_id(job.Lease(kAnna, 1, At(101))->lease_id());
  for (int i = 0; i < 100; ++i) job.Report(kAnna, "anna", report, At(101 + i));
  CHECK(job.ended());
}

TEST_CASE("a net without a data layer is tested for test_iter batches") {
  v1::JobSpec spec = WithTest(SpecOf(20), 5);
  for (v1::DatasetSpec* data : {spec.mutable_train_data(), spec.mutable_test_data(0)}) {
    data->clear_layer();
    data->clear_uri();
    data->clear_records();
  }
  spec.mutable_solver()->set_test_iter(0, 3);
  REQUIRE_OK(CheckJobSpec(spec));
  Job job(spec);
  Start(&job);
  job.CheckpointFrozen({0, /*persist=*/false, /*test=*/true}, 1);
  uint64_t records = 0;
  while (const auto lease = job.Lease(kAnna, 1, At(1))) {
    if (!lease->has_test()) break;
    records += lease->test().end() - lease->test().begin();
  }
  CHECK(records == 3 * kBatch);
}

TEST_CASE("a test of fewer records than there are goes on where the test before it has stopped") {
  v1::JobSpec spec = WithTest(SpecOf(100), 50);
  spec.mutable_solver()->set_test_iter(0, 3);
  Job job(spec);
  Start(&job);
  for (const uint64_t iteration : {uint64_t{0}, uint64_t{50}, uint64_t{100}}) {
    job.CheckpointFrozen({iteration, /*persist=*/false, /*test=*/true}, 1);
    uint64_t next = iteration / 50 * 3 * kBatch;
    const uint64_t end = next + 3 * kBatch;
    while (!job.TestsDone()) {
      const auto lease = job.Lease(kAnna, 1, At(1));
      REQUIRE(lease.has_value());
      REQUIRE(lease->has_test());
      CHECK(lease->test().begin() == next);
      next = lease->test().end();
      job.Report(kAnna, "anna", TestedOf(*lease, 0.75), At(2));
    }
    CHECK(next == end);
    job.CheckpointEnded();
  }
  CHECK(job.Status(At(2)).tests(2).records() == 3 * kBatch);
}

TEST_CASE("iterations of stored partitions are leased in their blocks, to whoever had the partition") {
  v1::JobSpec spec = SpecOf(1000);
  spec.mutable_train_data()->set_partitions(2);
  spec.mutable_train_data()->set_block(3);
  Job job(spec);
  Start(&job);
  for (int i = 0; i < 10; ++i) {
    for (const uint64_t worker : {kAnna, kBoris}) {
      const auto lease = job.Lease(worker, 2, At(0.1 * i));
      REQUIRE(lease.has_value());
      CHECK(lease->train().begin() / 3 % 2 == (worker == kAnna ? 0 : 1));
      CHECK(lease->train().end() == lease->train().begin() + 3);
      job.Report(worker, "worker", DoneOf(*lease), At(0.1 * i));
    }
  }
}

TEST_CASE("leases of two jobs have different ids") {
  Job first(SpecOf(10), 1);
  Job second(SpecOf(10), 2);
  Start(&first);
  Start(&second);
  const uint64_t one = first.Lease(kAnna, 1, At(0))->lease_id();
  const uint64_t other = second.Lease(kAnna, 1, At(0))->lease_id();
  CHECK(one != other);
  CHECK(first.Holds(kAnna, one));
  CHECK_FALSE(first.Holds(kAnna, other));
  CHECK(second.Holds(kAnna, other));
  v1::WorkerReport report;
  v1::WorkFailure* failure = report.add_failures();
  failure->set_job_id("lenet");
  failure->set_lease_id(other);
  second.Report(kAnna, "anna", report, At(1));
  CHECK_FALSE(second.Holds(kAnna, other));
  second.End(v1::JOB_STATE_CANCELLED, "", At(1));
}

}  // namespace
}  // namespace samovar
