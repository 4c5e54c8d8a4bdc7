// Jobs whose servers and coordinators are lost on the way, on parameter servers that are really ended.

#include <sys/mount.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "common/base/clock.h"
#include "common/parameters/parameter_client.h"
#include "common/rpc/dialer.h"
#include "common/storage/lmdb.h"
#include "samovar/v1/snapshot.pb.h"
#include "server/jobs/job_runner.h"
#include "tests/server/cluster/fake_cluster.h"
#include "tests/server/exactness/ask_server.h"
#include "tests/server/store/test_server.h"
#include "tests/server/test_cluster.h"
#include "tests/support/skip.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

constexpr uint64_t kWorker = 1;

// Parameter servers, and what a coordinator knows of them.
class Fleet {
 public:
  Fleet(const std::string& directory, size_t servers)
      : directory_(directory), servers_(servers), registrations_(servers) {
    for (size_t i = 0; i < servers; ++i) Start(i);
  }

  std::string state_dir(size_t i) const { return absl::StrCat(directory_, "/", i); }

  void Kill(size_t i) {
    servers_[i].reset();
    SetSilent(i, true);
  }
  // On another port, with what it has on its disk.
  void Start(size_t i) {
    servers_[i] = std::make_unique<TestServer>(state_dir(i));
    Membership::Server server;
    server.registration.set_address(servers_[i]->address());
    server.registration.set_incarnation(++incarnations_);
    server.registration.set_identity(1000 + i);
    server.heard = absl::InfiniteFuture();
    absl::MutexLock lock(&mu_);
    registrations_[i] = server;
  }
  void Restart(size_t i) {
    Kill(i);
    Start(i);
  }
  // Takes away all that a server that was killed has on its disk.
  void Wipe(size_t i) { std::filesystem::remove_all(state_dir(i)); }
  void SetSilent(size_t i, bool silent) {
    absl::MutexLock lock(&mu_);
    registrations_[i].heard = silent ? SteadyNow() - absl::Seconds(20) : absl::InfiniteFuture();
  }
  // Of a server that was killed: one chunk of its newest snapshot.
  void Damage(size_t i, uint64_t iteration) {
    auto environment = LmdbEnvironment::Open(state_dir(i) + "/snapshots", {});
    REQUIRE_OK(environment);
    bool damaged = false;
    REQUIRE_OK((*environment)->Write([&](LmdbTransaction& transaction) -> absl::Status {
      auto cursor = transaction.OpenCursor();
      for (auto found = cursor->SeekAtLeast("c"); found.ok() && *found && cursor->key()[0] == 'c';
           found = cursor->Next()) {
        const std::string key(cursor->key());
        // The iteration is in the eight bytes before the chunk's four.
        const auto low = static_cast<unsigned char>(key[key.size() - 5]);
        if (low != iteration) continue;
        std::string value(cursor->value());
        value[value.size() / 2] ^= 1;
        damaged = true;
        return transaction.Put(key, value);
      }
      return absl::OkStatus();
    }));
    REQUIRE(damaged);
  }

  std::vector<Membership::Server> Registrations() {
    absl::MutexLock lock(&mu_);
    return registrations_;
  }
  // The cluster as the coordinator of this epoch sees it.
  std::unique_ptr<FakeCluster> View(uint64_t epoch, absl::Duration patience = absl::Minutes(10)) {
    return std::make_unique<FakeCluster>([this] { return Registrations(); }, patience, epoch << 20);
  }

 private:
  const std::string directory_;
  std::vector<std::unique_ptr<TestServer>> servers_;
  absl::Mutex mu_;
  std::vector<Membership::Server> registrations_;
  uint64_t incarnations_ = 0;
};

// As a coordinator's job table has a job, which an earlier one may have begun.
v1::JobRecord RecordOf(bool begun) {
  v1::JobRecord record;
  record.mutable_status()->set_state(v1::JOB_STATE_QUEUED);
  record.set_begun(begun);
  return record;
}

// A job on its way, its runner on a thread of its own, and a worker on the test's.
class Training {
 public:
  Training(Fleet* fleet, const v1::JobSpec& spec, uint64_t epoch = 1, bool recovered = false,
           absl::Duration patience = absl::Minutes(10))
      : job(spec, 0, RecordOf(recovered)), view_(fleet->View(epoch, patience)), runner_([this, epoch] {
          // Nothing is short of memory here.
          RunJob(&job, epoch, view_.get(), StorageTable(), /*keeper=*/nullptr, stopper_).IgnoreError();
        }) {}
  ~Training() { EndCoordinator(); }

  // As a coordinator that is killed leaves a job: open at its servers.
  void EndCoordinator() {
    stopper_.Stop();
    if (runner_.joinable()) runner_.join();
  }

  v1::JobStatus Status() const { return job.Status(SteadyNow()); }
  v1::JobStatus AwaitEnd() {
    Work(job.max_iter(), [](const v1::JobStatus&) { return false; });
    return Status();
  }
  // Computes the iterations before `end`, and then waits for the condition, or the job's end.
  void Work(uint64_t end, const std::function<bool(const v1::JobStatus&)>& done) {
    const absl::Time deadline = SteadyNow() + absl::Seconds(100);
    uint64_t version = 0;
    while (!job.ended() && !done(Status()) && SteadyNow() < deadline) {
      if (!Step(end)) version = job.AwaitChange(version, absl::Milliseconds(20));
    }
  }
  void WorkTo(uint64_t end) {
    Work(end, [end](const v1::JobStatus& status) { return status.iteration() >= end; });
  }

  // The weights at the end, from the last frozen copy.
  std::vector<float> FinalWeights() {
    std::vector<float> weights(kModelElements);
    REQUIRE_OK(client_->PullFrozen(job.max_iter(), weights, {SteadyNow() + absl::Seconds(30), nullptr}));
    return weights;
  }
  std::string Notices() const {
    const v1::JobStatus status = Status();
    return absl::StrJoin(status.notices(), "\n");
  }

  Job job;
  // Iterations that were computed.
  uint64_t computed = 0;

 private:
  // False: there was no work before `end`.
  bool Step(uint64_t end) {
    const auto lease = job.Lease(kWorker, 1, SteadyNow());
    if (!lease.has_value()) return false;
    const auto assignment = job.Assignment();
    if (!assignment.has_value()) return false;
    v1::WorkerReport report;
    const absl::Status status = lease->has_test() ? Test(*lease, &report) : Train(*assignment, *lease, end, &report);
    if (!status.ok()) {
      v1::WorkFailure* failure = report.add_failures();
      failure->set_job_id(lease->job_id());
      failure->set_lease_id(lease->lease_id());
      failure->set_message(std::string(status.message()));
    }
    job.Report(kWorker, "worker", report, SteadyNow());
    return status.ok();
  }

  // The gradient is 1 plus half the weights, so that the order of iterations shows in the last bits.
  absl::Status Train(const v1::GetAssignmentResponse& assignment, const v1::WorkLease& lease, uint64_t end,
                     v1::WorkerReport* report) {
    if (client_ == nullptr || assignment.placement() != placement_) {
      ParameterClient::Options options;
      options.job_id = assignment.spec().job_id();
      options.elements = kModelElements;
      options.chunk_elements = assignment.chunk_elements();
      options.servers.assign(assignment.servers().begin(), assignment.servers().end());
      options.opening = assignment.opening();
      auto client = ParameterClient::Create(options, Dialer(RpcOptions()));
      REQUIRE_OK(client);
      client_ = *std::move(client);
      placement_ = assignment.placement();
    }
    const WaitLimit limit{SteadyNow() + absl::Seconds(1), nullptr};
    for (uint64_t t = lease.train().begin(); t < lease.train().end(); ++t) {
      if (t >= end) return absl::CancelledError("the rest of the lease is given back");
      std::vector<float> weights(kModelElements);
      const bool waits = assignment.spec().consistency().mode() == v1::CONSISTENCY_BOUNDED;
      absl::Status status = client_->Pull(weights, limit, {waits, t});
      if (!status.ok()) return status;
      for (float& weight : weights) weight = 1 + weight / 2;
      client_->StartPush(t, assignment.epoch(), weights, {});
      client_->Ready(0, kModelElements);
      status = client_->AwaitPush(limit).status();
      if (!status.ok()) return status;
      ++computed;
      v1::TrainResult* result = report->add_train();
      result->set_job_id(lease.job_id());
      result->set_lease_id(lease.lease_id());
      result->set_iteration(t);
    }
    return absl::OkStatus();
  }

  absl::Status Test(const v1::WorkLease& lease, v1::WorkerReport* report) {
    v1::TestResult* result = report->add_test();
    result->set_job_id(lease.job_id());
    result->set_lease_id(lease.lease_id());
    result->set_frozen_iteration(lease.test().frozen_iteration());
    result->set_begin(lease.test().begin());
    result->set_end(lease.test().end());
    result->add_sums(1);
    return absl::OkStatus();
  }

  const std::unique_ptr<FakeCluster> view_;
  Stopper stopper_;
  std::thread runner_;
  std::unique_ptr<ParameterClient> client_;
  uint64_t placement_ = 0;
};

v1::JobSpec SpecOf(int max_iter, int snapshot, v1::ConsistencyMode mode) {
  v1::JobSpec spec = MakeSpec(max_iter);
  spec.set_run(77);
  spec.mutable_solver()->set_snapshot(snapshot);
  spec.mutable_consistency()->set_mode(mode);
  return spec;
}

bool HasSnapshot(const v1::JobStatus& status, uint64_t iteration) {
  return std::count(status.snapshots().begin(), status.snapshots().end(), iteration) > 0;
}

// Each chunk holds each iteration once.
void CheckExactlyOnce(const v1::JobStatus& status) {
  INFO(status.ShortDebugString());
  CHECK(status.state() == v1::JOB_STATE_SUCCEEDED);
  CHECK(status.ledger().chunks() == 5);
  CHECK(status.ledger().complete_chunks() == 5);
  CHECK(status.ledger().iterations() == status.max_iter());
}

std::vector<float> Undisturbed(const v1::JobSpec& spec) {
  const TempDir dir;
  Fleet fleet(dir.path(), 2);
  Training training(&fleet, spec);
  CheckExactlyOnce(training.AwaitEnd());
  return training.FinalWeights();
}

TEST_CASE(
    "async: a server that was killed begins again with its newest snapshot, and what it lacks is computed again") {
  const TempDir dir;
  Fleet fleet(dir.path(), 2);
  Training training(&fleet, SpecOf(100, 20, v1::CONSISTENCY_ASYNC));
  training.WorkTo(40);
  training.Work(40, [](const v1::JobStatus& status) { return HasSnapshot(status, 40); });
  training.WorkTo(50);
  fleet.Restart(1);
  const v1::JobStatus status = training.AwaitEnd();
  CheckExactlyOnce(status);
  CHECK(status.recoveries() == 1);
  CHECK(status.repeated_iterations() == 10);
  CHECK_THAT(training.Notices(), Catch::Contains("its share of the model was restored from its snapshot 40") &&
                                     Catch::Contains("was restarted") &&
                                     Catch::Contains("iterations are computed again"));
}

TEST_CASE("async: a server without a snapshot begins again with initial weights") {
  const TempDir dir;
  Fleet fleet(dir.path(), 2);
  Training training(&fleet, SpecOf(60, 0, v1::CONSISTENCY_ASYNC));
  training.WorkTo(30);
  fleet.Kill(0);
  fleet.Wipe(0);
  fleet.Start(0);
  const v1::JobStatus status = training.AwaitEnd();
  CheckExactlyOnce(status);
  CHECK(status.repeated_iterations() >= 30);
  CHECK_THAT(training.Notices(), Catch::Contains("restored from initial weights"));
}

TEST_CASE("where chunks keep together a push from before the servers went back is refused by its opening") {
  const v1::JobSpec spec = SpecOf(60, 20, v1::CONSISTENCY_BOUNDED);
  const TempDir dir;
  Fleet fleet(dir.path(), 2);
  Training training(&fleet, spec);
  training.WorkTo(30);
  const auto before = training.job.Assignment();
  REQUIRE(before.has_value());
  fleet.Restart(1);
  training.Work(25, [](const v1::JobStatus& status) { return status.recoveries() == 1 && status.iteration() == 25; });
  const auto after = training.job.Assignment();
  REQUIRE(after.has_value());
  CHECK(after->epoch() == before->epoch());
  CHECK(after->opening() > before->opening());
  v1::ExchangeRequest late;
  late.set_job_id("lenet");
  late.set_epoch(before->epoch());
  late.set_opening(before->opening());
  late.set_iteration(25);
  late.add_push()->set_payload(std::string(4096 * sizeof(float), 0));
  REQUIRE_STATUS(AskServerForError(after->servers(0), late), absl::StatusCode::kFailedPrecondition, "is of opening");
  CheckExactlyOnce(training.AwaitEnd());
  CHECK(training.FinalWeights() == Undisturbed(spec));
}

TEST_CASE("async: servers that were not lost go on as the same opening, and another coordinator's is higher") {
  const TempDir dir;
  Fleet fleet(dir.path(), 2);
  const v1::JobSpec spec = SpecOf(60, 20, v1::CONSISTENCY_ASYNC);
  uint64_t opening = 0;
  {
    Training first(&fleet, spec);
    first.WorkTo(10);
    opening = first.job.Assignment()->opening();
    CHECK(opening > 0);
    fleet.Restart(1);
    first.Work(15, [](const v1::JobStatus& status) { return status.recoveries() == 1 && status.iteration() == 15; });
    CHECK(first.job.Assignment()->opening() == opening);
  }
  Training second(&fleet, spec, 2, true);
  second.WorkTo(20);
  CHECK(second.job.Assignment()->opening() > opening);
  CheckExactlyOnce(second.AwaitEnd());
}

TEST_CASE("where chunks keep together all servers go back, and the model is that of an undisturbed run to the bit") {
  const v1::JobSpec spec = SpecOf(100, 20, v1::CONSISTENCY_BOUNDED);
  const std::vector<float> expected = Undisturbed(spec);
  const TempDir dir;
  Fleet fleet(dir.path(), 2);
  Training training(&fleet, spec);
  SECTION("to the newest snapshot that all hold") {
    training.WorkTo(50);
    training.Work(50, [](const v1::JobStatus& status) { return HasSnapshot(status, 40); });
    fleet.Restart(1);
    CheckExactlyOnce(training.AwaitEnd());
    CHECK_THAT(training.Notices(), Catch::Contains("all servers have gone back to snapshot 40"));
  }
  SECTION("to the one before if the newest is damaged, and the message says so") {
    training.WorkTo(50);
    training.Work(50, [](const v1::JobStatus& status) { return HasSnapshot(status, 40); });
    fleet.Kill(1);
    fleet.Damage(1, 40);
    fleet.Start(1);
    CheckExactlyOnce(training.AwaitEnd());
    CHECK_THAT(training.Notices(), Catch::Contains("of snapshot 40 of job \"lenet\" is damaged") &&
                                       Catch::Contains("the snapshot before it is taken") &&
                                       Catch::Contains("all servers have gone back to snapshot 20"));
  }
  SECTION("to the beginning if a server has lost its disk") {
    training.WorkTo(50);
    training.Work(50, [](const v1::JobStatus& status) { return HasSnapshot(status, 40); });
    fleet.Kill(0);
    fleet.Wipe(0);
    fleet.Start(0);
    CheckExactlyOnce(training.AwaitEnd());
    CHECK_THAT(training.Notices(), Catch::Contains("all servers have gone back to the beginning"));
  }
  SECTION("again and again") {
    for (const uint64_t iteration : {10, 30, 55, 70, 95}) {
      training.WorkTo(iteration);
      fleet.Restart(iteration % 2);
    }
    const v1::JobStatus status = training.AwaitEnd();
    CheckExactlyOnce(status);
    CHECK(status.recoveries() >= 5);
  }
  CHECK(training.FinalWeights() == expected);
}

TEST_CASE(
    "while a server is silent nothing is leased and the status says who is waited for, and when it is heard again "
    "nothing is lost") {
  const TempDir dir;
  Fleet fleet(dir.path(), 2);
  Training training(&fleet, SpecOf(60, 0, v1::CONSISTENCY_ASYNC));
  training.WorkTo(20);
  fleet.SetSilent(1, true);
  training.Work(60, [](const v1::JobStatus& status) { return !status.cause().empty(); });
  CHECK(training.Status().state() == v1::JOB_STATE_RUNNING);
  CHECK_THAT(training.Status().cause(), Catch::Contains("is gone since") && Catch::Contains("waiting for it"));
  CHECK_FALSE(training.job.Lease(kWorker, 1, SteadyNow()).has_value());
  fleet.SetSilent(1, false);
  const v1::JobStatus status = training.AwaitEnd();
  CheckExactlyOnce(status);
  CHECK(status.cause().empty());
  CHECK(status.recoveries() == 0);
}

TEST_CASE("a job whose server does not come back within the limit fails, and says what to do") {
  const TempDir dir;
  Fleet fleet(dir.path(), 2);
  Training training(&fleet, SpecOf(60, 0, v1::CONSISTENCY_ASYNC), 1, false, absl::Seconds(1));
  training.WorkTo(20);
  fleet.Kill(1);
  const v1::JobStatus status = training.AwaitEnd();
  CHECK(status.state() == v1::JOB_STATE_FAILED);
  CHECK_THAT(status.cause(), Catch::Contains("is gone") && Catch::Contains("given up after 1s") &&
                                 Catch::Contains("submit the job again"));
}

TEST_CASE("reports of leases from before a loss count nothing after it") {
  const TempDir dir;
  Fleet fleet(dir.path(), 2);
  Training training(&fleet, SpecOf(60, 0, v1::CONSISTENCY_ASYNC));
  training.WorkTo(20);
  const auto lease = training.job.Lease(kWorker, 1, SteadyNow());
  REQUIRE(lease.has_value());
  fleet.Restart(1);
  training.Work(20, [](const v1::JobStatus& status) { return status.recoveries() > 0; });
  v1::WorkerReport report;
  v1::TrainResult* result = report.add_train();
  result->set_job_id("lenet");
  result->set_lease_id(lease->lease_id());
  result->set_iteration(lease->train().begin());
  CHECK(training.job.Report(kWorker, "late", report, SteadyNow()) == 0);
  CheckExactlyOnce(training.AwaitEnd());
}

TEST_CASE("a restarted coordinator takes up a job where its servers are") {
  const v1::ConsistencyMode mode = GENERATE(v1::CONSISTENCY_ASYNC, v1::CONSISTENCY_BOUNDED);
  const TempDir dir;
  Fleet fleet(dir.path(), 2);
  const v1::JobSpec spec = SpecOf(100, 20, mode);
  uint64_t computed = 0;
  {
    Training first(&fleet, spec);
    first.WorkTo(50);
    first.Work(50, [](const v1::JobStatus& status) { return HasSnapshot(status, 40); });
    first.EndCoordinator();
    computed = first.computed;
  }
  SECTION("and nothing is computed twice if all are there") {
    Training second(&fleet, spec, 2, true);
    const v1::JobStatus status = second.AwaitEnd();
    CheckExactlyOnce(status);
    CHECK(status.epoch() == 2);
    CHECK(computed + second.computed == 100);
    CHECK_THAT(second.Notices(), Catch::Contains("the coordinator was restarted, as epoch 2"));
    // The same bits as in one go, and no frozen copy of the first coordinator's in the way.
    if (mode == v1::CONSISTENCY_BOUNDED) CHECK(second.FinalWeights() == Undisturbed(spec));
  }
  SECTION("and restores the share of a server that went down with it") {
    fleet.Restart(0);
    Training second(&fleet, spec, 2, true);
    CheckExactlyOnce(second.AwaitEnd());
    if (mode == v1::CONSISTENCY_BOUNDED) CHECK(second.FinalWeights() == Undisturbed(spec));
  }
  SECTION("and waits for the server that has a share of it, however many others there are") {
    fleet.Kill(0);
    Fleet others(dir.File("others"), 1);
    FakeCluster view(
        [&] {
          std::vector<Membership::Server> all = fleet.Registrations();
          all.push_back(others.Registrations()[0]);
          return all;
        },
        absl::Seconds(1), uint64_t{2} << 20);
    Job job(spec, 0, RecordOf(/*begun=*/true));
    REQUIRE_OK(RunJob(&job, 2, &view, StorageTable(), /*keeper=*/nullptr, Stopper()));
    const v1::JobStatus status = job.Status(SteadyNow());
    CHECK(status.state() == v1::JOB_STATE_FAILED);
    CHECK_THAT(status.cause(),
               Catch::Contains("the server that has share 1 of 2 of the model has not come back within 1s"));
  }
}

TEST_CASE("a job of the same id does not take the shares or snapshots of the run before for its own") {
  const TempDir dir;
  Fleet fleet(dir.path(), 2);
  v1::JobSpec spec = SpecOf(40, 20, v1::CONSISTENCY_ASYNC);
  {
    Training first(&fleet, spec);
    CheckExactlyOnce(first.AwaitEnd());
  }
  // Still open at the servers, with a full ledger, and with snapshots 20 and 40 on their disks.
  spec.set_run(78);
  Training second(&fleet, spec, 2);
  second.WorkTo(10);
  CHECK(second.computed >= 10);
  fleet.Restart(1);
  CheckExactlyOnce(second.AwaitEnd());
  CHECK_THAT(second.Notices(), Catch::Contains("restored from initial weights"));
}

TEST_CASE("a resumed job goes on from the snapshot before a damaged one, and the message says so") {
  const TempDir dir;
  Fleet fleet(dir.path(), 2);
  v1::JobSpec spec = SpecOf(100, 20, v1::CONSISTENCY_ASYNC);
  {
    Training first(&fleet, spec);
    first.WorkTo(50);
    first.Work(50, [](const v1::JobStatus& status) { return HasSnapshot(status, 40); });
  }
  fleet.Kill(0);
  fleet.Damage(0, 40);
  fleet.Start(0);
  spec.set_resume(true);
  spec.set_run(78);
  Training second(&fleet, spec, 2);
  const v1::JobStatus status = second.AwaitEnd();
  CheckExactlyOnce(status);
  CHECK(status.resumed_from() == 20);
  CHECK_THAT(second.Notices(), Catch::Contains("is damaged") && Catch::Contains("the snapshot before it is taken"));
}

// A small disk at a directory, which can be filled. Needs the right to mount.
class SmallDisk {
 public:
  explicit SmallDisk(const std::string& path) : path_(path) {
    std::filesystem::create_directories(path);
    there_ = mount("none", path.c_str(), "tmpfs", 0, "size=2m") == 0;
  }
  ~SmallDisk() {
    if (there_) umount2(path_.c_str(), MNT_DETACH);
  }
  bool there() const { return there_; }
  void Fill() {
    std::ofstream file(path_ + "/filler", std::ios::binary);
    const std::vector<char> block(1024);
    while (file.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
  }
  void Free() { std::filesystem::remove(path_ + "/filler"); }

 private:
  const std::string path_;
  bool there_ = false;
};

// Two servers, of which the second has a small disk of its own, if one could be mounted (disk.there()).
struct FleetWithSmallDisk {
  // Trains to a snapshot of iteration 20 that both servers hold, and fills the disk.
  void TrainAndFill(Training* training) {
    training->WorkTo(20);
    training->Work(20, [](const v1::JobStatus& status) { return HasSnapshot(status, 20); });
    disk.Fill();
  }

  const TempDir dir;
  SmallDisk disk{dir.File("1")};
  Fleet fleet{dir.path(), 2};
};

TEST_CASE_METHOD(FleetWithSmallDisk,
                 "what all servers hold is kept while one server's disk is full, and is what they go back to") {
  if (!disk.there()) SAMOVAR_SKIP("no small disk can be mounted here");
  Training training(&fleet, SpecOf(120, 10, v1::CONSISTENCY_BOUNDED));
  TrainAndFill(&training);
  // The other server takes all of these.
  training.Work(90,
                [](const v1::JobStatus& status) { return status.iteration() == 90 && status.failed_snapshot() == 90; });
  CHECK(training.Status().snapshots_size() == 2);
  CHECK(HasSnapshot(training.Status(), 20));
  fleet.Kill(1);
  disk.Free();
  fleet.Start(1);
  const v1::JobStatus status = training.AwaitEnd();
  CheckExactlyOnce(status);
  CHECK(status.repeated_iterations() == 70);
  CHECK_THAT(training.Notices(), Catch::Contains("all servers have gone back to snapshot 20"));
}

TEST_CASE_METHOD(
    FleetWithSmallDisk,
    "a job has succeeded when all servers have its last snapshot: until then it waits for the disk that is full") {
  if (!disk.there()) SAMOVAR_SKIP("no small disk can be mounted here");
  {
    Training training(&fleet, SpecOf(40, 20, v1::CONSISTENCY_ASYNC));
    TrainAndFill(&training);
    training.Work(40, [](const v1::JobStatus& status) { return !status.cause().empty(); });
    CHECK(training.Status().state() == v1::JOB_STATE_RUNNING);
    CHECK_THAT(training.Status().cause(),
               Catch::Contains("waits for disk: server") && Catch::Contains("No space left"));
    CHECK_FALSE(HasSnapshot(training.Status(), 40));
    disk.Free();
    const v1::JobStatus status = training.AwaitEnd();
    CheckExactlyOnce(status);
    CHECK(HasSnapshot(status, 40));
  }
  Training impatient(&fleet, SpecOf(60, 20, v1::CONSISTENCY_ASYNC), 2, false, absl::Milliseconds(1));
  impatient.WorkTo(20);
  disk.Fill();
  const v1::JobStatus failed = impatient.AwaitEnd();
  CHECK(failed.state() == v1::JOB_STATE_FAILED);
  CHECK_THAT(failed.cause(),
             Catch::Contains("the last snapshot could not be written") && Catch::Contains("No space left"));
  CHECK_FALSE(HasSnapshot(failed, 60));
}

}  // namespace
}  // namespace samovar
