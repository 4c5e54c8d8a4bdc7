#include "server/jobs/job_queue.h"

#include <atomic>
#include <functional>
#include <new>
#include <thread>

#include "absl/strings/match.h"
#include "common/base/clock.h"
#include "common/parameters/parameter_client.h"
#include "common/rpc/dialer.h"
#include "common/rpc/listener.h"
#include "server/jobs/snapshot_cleaner.h"
#include "server/store/parameter_service.h"
#include "tests/server/cluster/fake_cluster.h"
#include "tests/server/test_worker.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

// Weights, and momentum.
constexpr uint64_t kJobBytes = 2 * kModelElements * sizeof(float);

v1::JobSpec SpecOf(const std::string& id, uint64_t elements = kModelElements) {
  v1::JobSpec spec = MakeSpec(10);
  spec.set_job_id(id);
  spec.set_servers(1);
  spec.mutable_layout()->mutable_blobs(0)->set_shape(0, static_cast<int64_t>(elements));
  spec.mutable_layout()->set_elements(elements);
  return spec;
}

// One parameter server with little memory, and the jobs that want it.
class SmallServer {
 public:
  explicit SmallServer(const std::string& directory, uint64_t bytes) {
    ParameterService::Options options;
    options.state_dir = directory;
    options.max_parameter_bytes = bytes;
    auto service = ParameterService::Create(options);
    REQUIRE_OK(service);
    service_ = *std::move(service);
    Listener listener({.address = "127.0.0.1:0"});
    service_->Register(listener.builder());
    auto started = listener.Start();
    REQUIRE_OK(started);
    server_ = *std::move(started);
    service_->Start();
    JobQueue::Options queue;
    queue.epoch = 1;
    cluster_ = std::make_unique<FakeCluster>([address = listener.address()] {
      Membership::Server server;
      server.registration.set_address(address);
      server.heard = SteadyNow();
      return std::vector<Membership::Server>{server};
    });
    queue.cluster = cluster_.get();
    auto jobs = JobQueue::Create(queue, nullptr);
    REQUIRE_OK(jobs);
    jobs_ = *std::move(jobs);
    jobs_->Start();
  }
  ~SmallServer() {
    jobs_->Stop();
    cluster_->Channels().Clear();
    service_->CancelStreams();
    server_->Shutdown();
    service_->Shutdown();
  }

  JobQueue& jobs() { return *jobs_; }
  // The status as soon as it is so; of state UNSPECIFIED if that takes too long.
  v1::JobStatus Await(const std::string& id, const std::function<bool(const v1::JobStatus&)>& until) {
    const auto job = jobs_->Find(id);
    REQUIRE_OK(job);
    const absl::Time deadline = SteadyNow() + absl::Seconds(60);
    uint64_t version = 0;
    while (SteadyNow() < deadline) {
      const v1::JobStatus status = (*job)->Status(SteadyNow());
      if (until(status)) return status;
      version = (*job)->AwaitChange(version, absl::Seconds(1));
    }
    return v1::JobStatus();
  }
  v1::JobStatus AwaitState(const std::string& id, v1::JobState state) {
    return Await(id, [state](const v1::JobStatus& status) { return status.state() == state; });
  }

 private:
  std::unique_ptr<ParameterService> service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<FakeCluster> cluster_;
  std::unique_ptr<JobQueue> jobs_;
};

TEST_CASE("a job that servers have no memory for waits until another has ended") {
  const TempDir dir;
  SmallServer cluster(dir.path(), 3 * kJobBytes / 2);
  REQUIRE_OK(cluster.jobs().Submit(SpecOf("first")));
  CHECK(cluster.AwaitState("first", v1::JOB_STATE_RUNNING).job_id() == "first");
  REQUIRE_OK(cluster.jobs().Submit(SpecOf("second")));
  const v1::JobStatus waiting =
      cluster.Await("second", [](const v1::JobStatus& status) { return absl::StrContains(status.cause(), "memory"); });
  CHECK(waiting.state() == v1::JOB_STATE_QUEUED);
  CHECK_THAT(waiting.cause(),
             Catch::Contains("waits until another job has ended") && Catch::Contains("bytes are needed"));
  REQUIRE_OK(cluster.jobs().Cancel("first", "enough"));
  CHECK(cluster.AwaitState("second", v1::JOB_STATE_RUNNING).job_id() == "second");
}

TEST_CASE("a job that would never fit into the servers' memory fails") {
  const TempDir dir;
  SmallServer cluster(dir.path(), 3 * kJobBytes / 2);
  REQUIRE_OK(cluster.jobs().Submit(SpecOf("large", 2 * kModelElements)));
  const v1::JobStatus failed = cluster.AwaitState("large", v1::JOB_STATE_FAILED);
  CHECK_THAT(failed.cause(),
             Catch::Contains("does not fit into its servers' memory") && Catch::Contains("use more servers"));
}

TEST_CASE("a new job whose name looks like a flag or leads to another directory is refused") {
  const TempDir dir;
  SmallServer cluster(dir.path(), 3 * kJobBytes / 2);
  for (const char* const name : {"-v", ".", ".."}) {
    REQUIRE_STATUS(cluster.jobs().Submit(SpecOf(name)), absl::StatusCode::kInvalidArgument,
                   "begin with a letter, a digit or '_'");
  }
}

// A cluster as a coordinator's threads see it that has no memory for the answer, on threads but for one.
struct ForgetfulCluster {
  std::atomic<bool> refuses{false};
  std::atomic<int> refused{0};
  // Asked by it all the same.
  std::atomic<std::thread::id> spared{};
  std::atomic<int> answered{0};

  std::vector<Membership::Server> Servers() {
    if (refuses && spared.load() != std::this_thread::get_id()) {
      ++refused;
      throw std::bad_alloc();
    }
    ++answered;
    Membership::Server server;
    // Nobody listens there.
    server.registration.set_address("127.0.0.1:1");
    server.heard = SteadyNow();
    return {server};
  }
  FakeCluster view{[this] { return Servers(); }};
};

void Await(const std::function<bool()>& until) {
  const absl::Time deadline = SteadyNow() + absl::Seconds(60);
  while (!until()) {
    REQUIRE(SteadyNow() < deadline);
    std::this_thread::yield();
  }
}

TEST_CASE("threads of the coordinator that find no memory go on when there is some again") {
  ForgetfulCluster cluster;
  cluster.refuses = true;
  SECTION("the scheduler") {
    JobQueue::Options options;
    options.epoch = 1;
    options.cluster = &cluster.view;
    auto queue = JobQueue::Create(options, nullptr);
    REQUIRE_OK(queue);
    (*queue)->Start();
    v1::JobSpec spec = SpecOf("patient");
    spec.set_servers(2);
    REQUIRE_OK((*queue)->Submit(spec));
    Await([&] { return cluster.refused > 3; });
    cluster.refuses = false;
    const auto job = (*queue)->Find("patient");
    REQUIRE_OK(job);
    Await([&] { return (*job)->Status(SteadyNow()).cause() == "waits for servers: 1 of 2 have registered"; });
  }
  SECTION("the cleaner of snapshots") {
    SnapshotCleaner cleaner(1, &cluster.view, nullptr);
    cleaner.Forget("old");
    cleaner.Start();
    Await([&] { return cluster.refused > 1; });
    CHECK_FALSE(cleaner.Cleans("old"));
    cluster.refuses = false;
    Await([&] { return cluster.answered > 0; });
    cleaner.Stop();
  }
}

// Servers of a cluster that come when the test says so. Nobody listens at their addresses.
struct GrowingCluster {
  void Add(const std::string& address) {
    absl::MutexLock lock(&mu);
    Membership::Server server;
    server.registration.set_address(address);
    // Never silent: no time that passes is news.
    server.heard = absl::InfiniteFuture();
    servers.push_back(server);
  }

  absl::Mutex mu;
  std::vector<Membership::Server> servers ABSL_GUARDED_BY(mu);
  FakeCluster view{[this] {
    absl::MutexLock lock(&mu);
    return servers;
  }};
};

TEST_CASE("a job that waits for servers begins when the queue is told that one has come") {
  GrowingCluster cluster;
  JobQueue::Options options;
  options.epoch = 1;
  options.cluster = &cluster.view;
  auto queue = JobQueue::Create(options, nullptr);
  REQUIRE_OK(queue);
  (*queue)->Start();
  v1::JobSpec spec = SpecOf("patient");
  spec.set_servers(2);
  REQUIRE_OK((*queue)->Submit(spec));
  const auto job = *(*queue)->Find("patient");
  Await([&] { return job->Status(SteadyNow()).cause() == "waits for servers: 0 of 2 have registered"; });
  cluster.Add("127.0.0.1:1");
  (*queue)->ServersChanged();
  Await([&] { return job->Status(SteadyNow()).cause() == "waits for servers: 1 of 2 have registered"; });
  cluster.Add("127.0.0.1:2");
  (*queue)->ServersChanged();
  Await([&] { return job->Record(SteadyNow()).begun(); });
}

TEST_CASE("a job that waits for its turn begins when the one before it has ended") {
  GrowingCluster cluster;
  cluster.Add("127.0.0.1:1");
  JobQueue::Options options;
  options.epoch = 1;
  options.max_running = 1;
  options.cluster = &cluster.view;
  auto queue = JobQueue::Create(options, nullptr);
  REQUIRE_OK(queue);
  (*queue)->Start();
  REQUIRE_OK((*queue)->Submit(SpecOf("first")));
  const auto first = *(*queue)->Find("first");
  Await([&] { return first->Record(SteadyNow()).begun(); });
  REQUIRE_OK((*queue)->Submit(SpecOf("second")));
  const auto second = *(*queue)->Find("second");
  Await([&] { return second->Status(SteadyNow()).cause() == "waits until one of the 1 jobs that run has ended"; });
  REQUIRE_OK((*queue)->Cancel("first", "enough"));
  Await([&] { return second->Record(SteadyNow()).begun(); });
}

TEST_CASE("a job whose thread finds no memory fails, and its name is free again") {
  ForgetfulCluster cluster;
  // The scheduler is the first that asks.
  FakeCluster view([&] {
    std::thread::id nobody{};
    cluster.spared.compare_exchange_strong(nobody, std::this_thread::get_id());
    return cluster.Servers();
  });
  JobQueue::Options options;
  options.epoch = 1;
  options.cluster = &view;
  auto queue = JobQueue::Create(options, nullptr);
  REQUIRE_OK(queue);
  (*queue)->Start();
  Await([&] { return cluster.answered > 0; });
  cluster.refuses = true;
  REQUIRE_OK((*queue)->Submit(SpecOf("unlucky")));
  const auto job = (*queue)->Find("unlucky");
  REQUIRE_OK(job);
  Await([&] { return (*job)->ended(); });
  const v1::JobStatus failed = (*job)->Status(SteadyNow());
  CHECK(failed.state() == v1::JOB_STATE_FAILED);
  CHECK_THAT(failed.cause(), Catch::Contains("out of memory"));
  cluster.refuses = false;
  REQUIRE_OK((*queue)->Submit(SpecOf("unlucky")));
  const auto again = (*queue)->Find("unlucky");
  REQUIRE_OK(again);
  Await([&] { return (*again)->Record(SteadyNow()).begun(); });
}

// Leases what there is of a job, pushes gradients and reports them.
void Compute(Job* job) {
  const auto lease = job->Lease(1, 1, SteadyNow());
  if (!lease.has_value()) return;
  const v1::GetAssignmentResponse assignment = *job->Assignment();
  ParameterClient::Options options;
  options.job_id = job->id();
  options.elements = kModelElements;
  options.chunk_elements = assignment.chunk_elements();
  options.servers.assign(assignment.servers().begin(), assignment.servers().end());
  const auto client = ParameterClient::Create(options, Dialer(RpcOptions()));
  REQUIRE_OK(client);
  const std::vector<float> ones(kModelElements, 1.0f);
  v1::WorkerReport report;
  for (uint64_t t = lease->train().begin(); t < lease->train().end(); ++t) {
    (*client)->StartPush(t, assignment.epoch(), ones, {});
    (*client)->Ready(0, kModelElements);
    REQUIRE_OK((*client)->AwaitPush({SteadyNow() + absl::Seconds(30)}));
    v1::TrainResult* result = report.add_train();
    result->set_job_id(job->id());
    result->set_lease_id(lease->lease_id());
    result->set_iteration(t);
  }
  job->Report(1, "worker", report, SteadyNow());
}

TEST_CASE("a job whose snapshots servers have no memory for trains on, and its last snapshot is taken when they have") {
  const TempDir dir;
  SmallServer cluster(dir.path(), 5 * kJobBytes / 2);
  v1::JobSpec spec = SpecOf("first");
  spec.mutable_solver()->set_snapshot(4);
  spec.clear_test_nets();
  spec.clear_test_data();
  spec.clear_test_outputs();
  REQUIRE_OK(cluster.jobs().Submit(spec));
  REQUIRE_OK(cluster.jobs().Submit(SpecOf("second")));
  for (const char* id : {"first", "second"}) CHECK(cluster.AwaitState(id, v1::JOB_STATE_RUNNING).job_id() == id);
  const auto job = *cluster.jobs().Find("first");
  while (job->Status(SteadyNow()).completed_iterations() < 10) {
    Compute(job.get());
    if (job->Status(SteadyNow()).completed_iterations() < 4) continue;
    // The refusal lets training go on.
    const v1::JobStatus refused =
        cluster.Await("first", [](const v1::JobStatus& status) { return status.failed_snapshot() > 0; });
    CHECK(refused.state() == v1::JOB_STATE_RUNNING);
    CHECK_THAT(refused.snapshot_error(),
               Catch::Contains("freezing job \"first\"") && Catch::Contains("bytes are needed"));
  }
  const v1::JobStatus done =
      cluster.Await("first", [](const v1::JobStatus& status) { return status.failed_snapshot() == 10; });
  CHECK(done.state() == v1::JOB_STATE_RUNNING);
  CHECK(done.snapshots().empty());
  // It would stay in memory for a while, were there enough.
  REQUIRE_OK(cluster.jobs().Cancel("second", "enough"));
  const v1::JobStatus end = cluster.AwaitState("first", v1::JOB_STATE_SUCCEEDED);
  CHECK(end.snapshot_error().empty());
  REQUIRE(end.snapshots_size() == 1);
  CHECK(end.snapshots(0) == 10);
}

TEST_CASE("a name that was another job's is a new job's alone") {
  const TempDir dir;
  SmallServer cluster(dir.path(), 8 * kJobBytes);
  REQUIRE_OK(cluster.jobs().Submit(SpecOf("lenet")));
  cluster.AwaitState("lenet", v1::JOB_STATE_RUNNING);
  REQUIRE_OK(cluster.jobs().Cancel("lenet", "another net"));
  // Another size: servers would refuse it if they held the first one still.
  REQUIRE_OK(cluster.jobs().Submit(SpecOf("lenet", kModelElements / 2)));
  CHECK(cluster.AwaitState("lenet", v1::JOB_STATE_RUNNING).job_id() == "lenet");
  CHECK(cluster.jobs().All().size() == 1);
}

TEST_CASE("jobs run side by side, each to a complete ledger") {
  const TempDir dir;
  TestCluster cluster(dir.path(), 2);
  for (const char* id : {"one", "two"}) {
    v1::JobSpec spec = MakeSpec(60);
    spec.set_job_id(id);
    REQUIRE_OK(cluster.Submit(spec));
    cluster.Await(id, [](const v1::JobStatus& status) { return status.state() == v1::JOB_STATE_RUNNING; });
  }
  TestWorker worker(cluster.coordinator());
  std::atomic<int> ended = 0;
  std::vector<v1::JobStatus> last(2);
  std::thread one([&] { last[0] = cluster.AwaitEnd("one"), ++ended; });
  std::thread two([&] { last[1] = cluster.AwaitEnd("two"), ++ended; });
  worker.WorkUntil([&] { return ended == 2; });
  one.join();
  two.join();
  for (const v1::JobStatus& status : last) {
    INFO(status.ShortDebugString());
    CHECK(status.state() == v1::JOB_STATE_SUCCEEDED);
    CHECK(status.ledger().complete_chunks() == 5);
    CHECK(status.ledger().iterations() == 60);
    CHECK(status.tests(0).outputs(0).value() == -60.0 / 1024);
  }
}

TEST_CASE("a job that ran when its coordinator ended is taken up again") {
  const TempDir dir;
  v1::JobSpec spec = MakeSpec(100);
  spec.mutable_solver()->set_snapshot(20);
  {
    TestCluster cluster(dir.path(), 2, /*keeps_jobs=*/true);
    REQUIRE_OK(cluster.Submit(spec));
    TestWorker worker(cluster.coordinator());
    std::atomic<bool> enough = false;
    std::thread watcher([&] {
      cluster.Await("lenet", [](const v1::JobStatus& status) { return status.snapshots_size() >= 2; });
      enough = true;
    });
    worker.WorkUntil([&] { return enough.load(); });
    watcher.join();
    cluster.Stop(1);
    cluster.Stop(0);
  }
  TestCluster cluster(dir.path(), 2, /*keeps_jobs=*/true);
  TestWorker worker(cluster.coordinator());
  std::atomic<bool> ended = false;
  v1::JobStatus last;
  std::thread watcher([&] {
    last = cluster.AwaitEnd("lenet");
    ended = true;
  });
  worker.WorkUntil([&] { return ended.load(); });
  watcher.join();
  INFO(last.ShortDebugString());
  CHECK(last.state() == v1::JOB_STATE_SUCCEEDED);
  CHECK(last.recovered());
  // It is the same run, from the snapshots of its servers.
  CHECK(last.resumed_from() == 0);
  CHECK(last.samples() == last.max_iter() * 10);
  CHECK(absl::StrContains(last.notices(0), "was restored from its snapshot "));
  CHECK(last.ledger().complete_chunks() == 5);
  CHECK(last.tests(0).outputs(0).value() == -100.0 / 1024);
}

TEST_CASE(
    "a job that ran when its coordinator ended fails if its servers do not come back within the patience for servers") {
  const TempDir dir;
  {
    TestCluster cluster(dir.path(), 2, /*keeps_jobs=*/true);
    REQUIRE_OK(cluster.Submit(MakeSpec(100)));
    cluster.Await("lenet", [](const v1::JobStatus& status) { return status.state() == v1::JOB_STATE_RUNNING; });
    cluster.Stop(1);
    cluster.Stop(0);
  }
  TestCluster cluster(dir.path(), 1, /*keeps_jobs=*/true, absl::Milliseconds(1));
  // As many servers as before, but another one.
  Server::Options other;
  other.join = cluster.coordinator();
  other.state_dir = dir.File("other");
  const auto server = Server::Start(other);
  REQUIRE_OK(server);
  const v1::JobStatus status = cluster.AwaitEnd("lenet");
  CHECK(status.state() == v1::JOB_STATE_FAILED);
  CHECK_THAT(status.cause(), Catch::Contains("has not come back within 1ms"));
}

}  // namespace
}  // namespace samovar
