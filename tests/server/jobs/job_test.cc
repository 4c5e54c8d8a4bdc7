#include "server/jobs/job.h"

#include <cmath>

#include "absl/strings/match.h"
#include "server/jobs/job_spec.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

constexpr uint64_t kAnna = 1;
constexpr uint64_t kBoris = 2;
constexpr uint32_t kBatch = 10;

absl::Time At(double seconds) { return absl::UnixEpoch() + absl::Seconds(seconds); }

v1::JobSpec SpecOf(int max_iter) {
  v1::JobSpec spec;
  spec.set_job_id("lenet");
  spec.set_servers(1);
  caffe::SolverParameter* solver = spec.mutable_solver();
  solver->set_max_iter(max_iter);
  solver->set_base_lr(0.1f);
  solver->set_lr_policy("fixed");
  v1::ParameterBlob* blob = spec.mutable_layout()->add_blobs();
  blob->set_layer("ip");
  blob->add_shape(8);
  blob->set_lr_mult(1);
  blob->set_decay_mult(1);
  spec.mutable_layout()->set_elements(8);
  v1::DatasetSpec* data = spec.mutable_train_data();
  data->set_layer("data");
  data->set_uri("train_lmdb");
  data->set_records(100);
  data->set_batch_size(kBatch);
  data->set_partitions(1);
  spec.mutable_train_outputs()->add_outputs()->set_name("loss");
  return spec;
}

v1::JobSpec WithTest(v1::JobSpec spec, int interval) {
  spec.mutable_solver()->set_test_interval(interval);
  spec.mutable_solver()->add_test_iter(10);
  spec.add_test_nets();
  *spec.add_test_data() = spec.train_data();
  spec.add_test_outputs()->add_outputs()->set_name("accuracy");
  return spec;
}

void Start(Job* job) {
  Job::Plan plan;
  plan.epoch = 3;
  plan.chunk_elements = 8;
  plan.servers = {"127.0.0.1:1"};
  job->Start(plan, At(0));
}

v1::WorkerReport DoneOf(const v1::WorkLease& lease, float loss = 1) {
  v1::WorkerReport report;
  for (uint64_t t = lease.train().begin(); t < lease.train().end(); ++t) {
    v1::TrainResult* result = report.add_train();
    result->set_job_id(lease.job_id());
    result->set_lease_id(lease.lease_id());
    result->set_iteration(t);
    result->set_loss(loss);
    result->add_outputs(loss);
  }
  return report;
}

v1::WorkerReport TestedOf(const v1::WorkLease& lease, double sum_per_record) {
  v1::WorkerReport report;
  v1::TestResult* result = report.add_test();
  result->set_job_id(lease.job_id());
  result->set_lease_id(lease.lease_id());
  result->set_frozen_iteration(lease.test().frozen_iteration());
  result->set_net(lease.test().net());
  result->set_begin(lease.test().begin());
  result->set_end(lease.test().end());
  result->add_sums(sum_per_record * static_cast<double>(lease.test().end() - lease.test().begin()));
  return report;
}

// Anna does all training that there is to lease. Returns the number of iterations.
uint64_t TrainAll(Job* job, double time = 1) {
  uint64_t done = 0;
  while (const auto lease = job->Lease(kAnna, 1, At(time))) {
    REQUIRE(lease->has_train());
    done += job->Report(kAnna, "anna", DoneOf(*lease), At(time));
  }
  return done;
}

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

TEST_CASE("digests of a job's data and files are digests, or the job is refused") {
  v1::JobSpec spec = SpecOf(20);
  spec.mutable_train_data()->set_digest(std::string(64, 'a'));
  v1::NetFile* const file = spec.add_net_files();
  file->set_path("/mean.binaryproto");
  file->set_digest(std::string(64, '0'));
  REQUIRE_OK(CheckJobSpec(spec));
  const auto refused = [&spec](auto change, const std::string& words) {
    v1::JobSpec changed = spec;
    change(&changed);
    REQUIRE_STATUS(CheckJobSpec(changed), absl::StatusCode::kInvalidArgument, words);
  };
  refused([](v1::JobSpec* job) { job->mutable_train_data()->set_digest("abc"); }, "train_data: digest");
  refused([](v1::JobSpec* job) { job->mutable_train_data()->set_digest(std::string(64, 'g')); }, "train_data: digest");
  refused([](v1::JobSpec* job) { job->mutable_net_files(0)->clear_digest(); }, "net_files: digest");
  refused([](v1::JobSpec* job) { job->mutable_net_files(0)->set_path("a\nb"); }, "net_files: path");
}

TEST_CASE("data layers beside the first one must keep together with it, or all be read in order") {
  v1::JobSpec spec = SpecOf(20);
  v1::DatasetSpec* const further = spec.mutable_train_data()->add_further();
  *further = SpecOf(20).train_data();
  further->set_layer("label");
  REQUIRE_OK(CheckJobSpec(spec));
  using absl::StatusCode;
  const auto refused = [&spec](auto change) {
    v1::JobSpec changed = spec;
    change(&changed, changed.mutable_train_data()->mutable_further(0));
    REQUIRE_STATUS(CheckJobSpec(changed), StatusCode::kInvalidArgument, "train_data: further 0");
  };
  refused([](v1::JobSpec*, v1::DatasetSpec* data) { data->set_records(99); });
  refused([](v1::JobSpec*, v1::DatasetSpec* data) { data->set_batch_size(kBatch + 1); });
  refused([](v1::JobSpec*, v1::DatasetSpec* data) { data->set_batch_size(0); });
  refused([](v1::JobSpec*, v1::DatasetSpec* data) { data->set_partitions(2); });
  refused([](v1::JobSpec*, v1::DatasetSpec* data) { data->set_in_order(true); });
  refused([](v1::JobSpec*, v1::DatasetSpec* data) { *data->add_further() = SpecOf(20).train_data(); });
  refused([](v1::JobSpec*, v1::DatasetSpec* data) { data->set_uri("a\nb"); });
  refused([](v1::JobSpec*, v1::DatasetSpec* data) { data->set_digest("abc"); });
  spec.mutable_train_data()->set_in_order(true);
  further->set_in_order(true);
  further->set_records(33);
  further->set_batch_size(15);
  REQUIRE_OK(CheckJobSpec(spec));
  REQUIRE_OK(CheckJobSpec([&] {
    v1::JobSpec parts = spec;
    parts.mutable_consistency()->set_mode(v1::CONSISTENCY_SYNC);
    parts.mutable_consistency()->set_parts(5);
    return parts;
  }()));
  spec.mutable_consistency()->set_mode(v1::CONSISTENCY_SYNC);
  spec.mutable_consistency()->set_parts(2);
  REQUIRE_STATUS(CheckJobSpec(spec), StatusCode::kInvalidArgument, "parts 2 must divide the batch");
}

TEST_CASE("watchers are woken by changes") {
  Job job(SpecOf(10));
  const uint64_t seen = job.AwaitChange(0, absl::InfiniteDuration());
  CHECK(job.AwaitChange(seen, absl::ZeroDuration()) == seen);
  Start(&job);
  CHECK(job.AwaitChange(seen, absl::InfiniteDuration()) > seen);
}

TEST_CASE("a job from outside is checked field by field") {
  CHECK(CheckJobSpec(SpecOf(10)).ok());
  v1::JobSpec spec = SpecOf(10);
  spec.set_job_id("a/b");
  REQUIRE_STATUS(CheckJobSpec(spec), absl::StatusCode::kInvalidArgument, "job id");
  spec = SpecOf(-1);
  REQUIRE_STATUS(CheckJobSpec(spec), absl::StatusCode::kInvalidArgument, "max_iter");
  spec = SpecOf(10);
  spec.mutable_train_data()->set_batch_size(0);
  REQUIRE_STATUS(CheckJobSpec(spec), absl::StatusCode::kInvalidArgument, "train_data");
  spec = SpecOf(10);
  spec.mutable_train_data()->clear_uri();
  REQUIRE_STATUS(CheckJobSpec(spec), absl::StatusCode::kInvalidArgument, "both of uri and records or neither");
  spec = SpecOf(10);
  spec.mutable_train_data()->set_partitions(101);
  REQUIRE_STATUS(CheckJobSpec(spec), absl::StatusCode::kInvalidArgument,
                 "train_data: partitions must be at most records, 100");
  spec.mutable_train_data()->set_partitions(100);
  spec.mutable_train_data()->set_block(1 << 17);
  REQUIRE_STATUS(CheckJobSpec(spec), absl::StatusCode::kInvalidArgument, "and block at most 65536");
  spec = SpecOf(10);
  spec.mutable_solver()->set_iter_size(0);
  REQUIRE_STATUS(CheckJobSpec(spec), absl::StatusCode::kInvalidArgument, "iter_size");
  spec = SpecOf(10);
  spec.mutable_layout()->set_elements(9);
  CHECK_FALSE(CheckJobSpec(spec).ok());
  spec = SpecOf(10);
  spec.add_test_nets();
  REQUIRE_STATUS(CheckJobSpec(spec), absl::StatusCode::kInvalidArgument, "test_nets");
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

v1::JobSpec InParts(v1::JobSpec spec, uint32_t parts) {
  spec.mutable_consistency()->set_mode(v1::CONSISTENCY_SYNC);
  spec.mutable_consistency()->set_parts(parts);
  return spec;
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
  CHECK(job.LeaseNames(kBoris) == std::vector<std::string>{"train 0..4 parts 1"});
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

TEST_CASE("a mode that a job cannot have is refused") {
  v1::JobSpec spec = SpecOf(100);
  REQUIRE_OK(CheckJobSpec(InParts(spec, kBatch)));
  REQUIRE_STATUS(CheckJobSpec(InParts(spec, 3)), absl::StatusCode::kInvalidArgument,
                 "parts 3 must divide the batch of 10 records");
  REQUIRE_STATUS(CheckJobSpec(InParts(spec, 0)), absl::StatusCode::kInvalidArgument, "parts must be at least 1");
  for (const uint32_t parts : {0, 1, 2}) {
    v1::JobSpec late = parts == 0 ? spec : InParts(spec, parts);
    late.mutable_consistency()->set_delay_compensation(0.5f);
    if (parts == 0) REQUIRE_OK(CheckJobSpec(late));
    if (parts > 0)
      REQUIRE_STATUS(CheckJobSpec(late), absl::StatusCode::kInvalidArgument,
                     "gradients that come late, and in this mode none does");
    late.mutable_consistency()->set_delay_compensation(-1);
    REQUIRE_STATUS(CheckJobSpec(late), absl::StatusCode::kInvalidArgument,
                   "delay_compensation must be at least 0, not -1");
    late.mutable_consistency()->set_staleness_scaling(static_cast<v1::StalenessScaling>(9));
    REQUIRE_STATUS(CheckJobSpec(late), absl::StatusCode::kInvalidArgument, "staleness_scaling 9 is none");
  }
  spec.mutable_consistency()->set_delay(1);
  REQUIRE_STATUS(CheckJobSpec(spec), absl::StatusCode::kInvalidArgument, "delay is for the mode CONSISTENCY_BOUNDED");
  spec.mutable_consistency()->set_delay(0);
  spec.mutable_consistency()->set_topk_ratio(0.01);
  REQUIRE_STATUS(CheckJobSpec(spec), absl::StatusCode::kInvalidArgument, "topk_ratio must be above 0");
  spec.mutable_consistency()->set_encoding(v1::ENCODING_SPARSE);
  REQUIRE_OK(CheckJobSpec(spec));
  for (const double ratio : {0.0, -1.0, 1.5, std::nan("")}) {
    spec.mutable_consistency()->set_topk_ratio(ratio);
    REQUIRE_STATUS(CheckJobSpec(spec), absl::StatusCode::kInvalidArgument, "topk_ratio must be above 0");
  }
  spec = InParts(spec, 1);
  spec.mutable_consistency()->set_topk_ratio(0.01);
  REQUIRE_STATUS(CheckJobSpec(spec), absl::StatusCode::kInvalidArgument, "the mode sync promises");
  spec.mutable_consistency()->set_mode(static_cast<v1::ConsistencyMode>(7));
  REQUIRE_STATUS(CheckJobSpec(spec), absl::StatusCode::kInvalidArgument, "mode 7 is none");
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
