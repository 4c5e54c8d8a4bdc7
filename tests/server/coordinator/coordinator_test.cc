#include "server/coordinator/coordinator.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <future>
#include <thread>

#include "absl/strings/match.h"
#include "absl/synchronization/notification.h"
#include "common/telemetry/log.h"
#include "server/coordinator/epoch_file.h"
#include "server/jobs/lmdb_job_table.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

v1::JobSpec SpecOf(const std::string& id) {
  v1::JobSpec spec;
  spec.set_job_id(id);
  spec.set_servers(2);
  spec.mutable_solver()->set_max_iter(10);
  spec.mutable_solver()->set_base_lr(0.1f);
  spec.mutable_solver()->set_lr_policy("fixed");
  v1::ParameterBlob* blob = spec.mutable_layout()->add_blobs();
  blob->set_layer("ip");
  blob->add_shape(8);
  spec.mutable_layout()->set_elements(8);
  v1::DatasetSpec* data = spec.mutable_train_data();
  data->set_uri("train_lmdb");
  data->set_records(100);
  data->set_batch_size(10);
  data->set_partitions(1);
  return spec;
}

std::unique_ptr<Coordinator> CoordinatorIn(const TempDir& dir) {
  auto coordinator = Coordinator::Create({dir.path()});
  REQUIRE_OK(coordinator);
  return *std::move(coordinator);
}

// The job's status at its end.
v1::JobStatus EndOf(const Coordinator& coordinator, const std::string& id) {
  v1::JobStatus last;
  REQUIRE_OK(coordinator.Watch(
      id, absl::Milliseconds(1), std::nullopt,
      [&](const v1::JobStatus& status) {
        last = status;
        return true;
      },
      [] { return false; }));
  return last;
}

TEST_CASE("each start of a coordinator has a higher epoch") {
  const TempDir dir;
  const uint64_t first = CoordinatorIn(dir)->epoch();
  CHECK(CoordinatorIn(dir)->epoch() == first + 1);
}

TEST_CASE("a damaged epoch file is refused by name") {
  const TempDir dir;
  REQUIRE_OK(NextEpoch(dir.path()));
  const std::string path = dir.path() + "/epoch";
  FILE* file = fopen(path.c_str(), "w");
  fputs("garbage\n", file);
  fclose(file);
  REQUIRE_STATUS(NextEpoch(dir.path()), absl::StatusCode::kDataLoss, path);
}

TEST_CASE("an epoch that cannot be raised is refused, for 0 would come after it") {
  const TempDir dir;
  FILE* file = fopen(dir.File("epoch").c_str(), "w");
  fputs("18446744073709551615\n", file);
  fclose(file);
  REQUIRE_STATUS(NextEpoch(dir.path()), absl::StatusCode::kDataLoss, dir.File("epoch"));
}

TEST_CASE("a worker that is not known is told to join") {
  const TempDir dir;
  const auto coordinator = CoordinatorIn(dir);
  v1::HeartbeatRequest heartbeat;
  heartbeat.set_worker_id(17);
  REQUIRE_STATUS(coordinator->Heartbeat(heartbeat), absl::StatusCode::kNotFound, "join again");
  v1::LeaseRequest lease;
  lease.set_worker_id(coordinator->Join(v1::JoinRequest()).worker_id());
  REQUIRE_OK(coordinator->Lease(lease));
  CHECK(coordinator->Lease(lease)->retry_after_ms() > 0);
  v1::LeaveRequest leave;
  leave.set_worker_id(lease.worker_id());
  coordinator->Leave(leave);
  coordinator->Leave(leave);
  REQUIRE_STATUS(coordinator->Lease(lease), absl::StatusCode::kNotFound, "join again");
}

TEST_CASE("a worker that is busy with what it does not hold is told so with each heartbeat") {
  const TempDir dir;
  const auto coordinator = CoordinatorIn(dir);
  v1::HeartbeatRequest heartbeat;
  heartbeat.set_worker_id(coordinator->Join({}).worker_id());
  CHECK(coordinator->Heartbeat(heartbeat)->revoked_leases().empty());
  heartbeat.add_leases(7);
  for (int i = 0; i < 2; ++i) {
    const auto response = coordinator->Heartbeat(heartbeat);
    REQUIRE_OK(response);
    REQUIRE(response->revoked_leases_size() == 1);
    CHECK(response->revoked_leases(0) == 7);
  }
}

TEST_CASE("jobs wait in a queue, say what for, and have names of their own") {
  const TempDir dir;
  const auto coordinator = CoordinatorIn(dir);
  REQUIRE_OK(coordinator->Submit(SpecOf("first")));
  REQUIRE_OK(coordinator->Submit(SpecOf("second")));
  REQUIRE_STATUS(coordinator->Submit(SpecOf("first")), absl::StatusCode::kAlreadyExists, "first");
  const auto unnamed = coordinator->Submit(SpecOf(""));
  REQUIRE_OK(unnamed);
  CHECK_FALSE(unnamed->empty());
  CHECK(coordinator->List().size() == 3);
  CHECK(coordinator->Get("second")->state() == v1::JOB_STATE_QUEUED);
  // The first says that it lacks servers as soon as somebody has looked.
  REQUIRE_OK(coordinator->Watch(
      "first", absl::Milliseconds(1), std::nullopt,
      [](const v1::JobStatus& status) { return status.cause() != "waits for servers: 0 of 2 have registered"; },
      [] { return false; }));
  v1::RegisterServerRequest server;
  server.set_address("127.0.0.1:1");
  REQUIRE_OK(coordinator->RegisterServer(server));
  REQUIRE_OK(coordinator->Watch(
      "first", absl::Milliseconds(1), std::nullopt,
      [](const v1::JobStatus& status) { return status.cause() != "waits for servers: 1 of 2 have registered"; },
      [] { return false; }));
  REQUIRE_STATUS(coordinator->Get("third"), absl::StatusCode::kNotFound, "third");
  REQUIRE_STATUS(coordinator->Get("secnod"), absl::StatusCode::kNotFound, R"(did you mean "second"?)");
}

TEST_CASE("a watcher sees a job's end, whoever ends it") {
  const TempDir dir;
  const auto coordinator = CoordinatorIn(dir);
  REQUIRE_OK(coordinator->Submit(SpecOf("cancelled")));
  absl::Status cancelled;
  std::thread canceller([&] { cancelled = coordinator->Cancel("cancelled", ""); });
  const v1::JobStatus end = EndOf(*coordinator, "cancelled");
  canceller.join();
  REQUIRE_OK(cancelled);
  CHECK(end.state() == v1::JOB_STATE_CANCELLED);
  CHECK(end.cause() == "cancelled by a user");
}

TEST_CASE("a job does not end with its coordinator, and its watchers are told that") {
  const TempDir dir;
  const auto coordinator = CoordinatorIn(dir);
  REQUIRE_OK(coordinator->Submit(SpecOf("lenet")));
  coordinator->Stop();
  v1::JobState last = v1::JOB_STATE_UNSPECIFIED;
  const absl::Status watched = coordinator->Watch(
      "lenet", absl::Milliseconds(1), std::nullopt,
      [&](const v1::JobStatus& status) {
        last = status.state();
        return true;
      },
      [] { return false; });
  REQUIRE_STATUS(watched, absl::StatusCode::kUnavailable, "stopping");
  CHECK(last == v1::JOB_STATE_QUEUED);
}

TEST_CASE("a name is free again when its job has ended") {
  const TempDir dir;
  const auto coordinator = CoordinatorIn(dir);
  REQUIRE_OK(coordinator->Submit(SpecOf("lenet")));
  REQUIRE_OK(coordinator->Cancel("lenet", "typo"));
  REQUIRE_OK(coordinator->Submit(SpecOf("lenet")));
  CHECK(coordinator->List().size() == 1);
  CHECK(coordinator->Get("lenet")->state() == v1::JOB_STATE_QUEUED);
}

TEST_CASE("ended jobs are forgotten in the end") {
  const TempDir dir;
  auto created = Coordinator::Create({.state_dir = dir.path(), .forget_jobs = true});
  REQUIRE_OK(created);
  const std::unique_ptr<Coordinator> coordinator = *std::move(created);
  for (int i = 0; i < 2 * JobQueue::kMaxEndedJobs; ++i) {
    const std::string id = "job" + std::to_string(i);
    REQUIRE_OK(coordinator->Submit(SpecOf(id)));
    REQUIRE_OK(coordinator->Cancel(id, ""));
  }
  CHECK(coordinator->List().size() <= JobQueue::kMaxEndedJobs + 1);
}

TEST_CASE("the job that ended first is forgotten first, whenever it was submitted") {
  const TempDir dir;
  const auto coordinator = *Coordinator::Create({.state_dir = dir.path(), .max_ended = 2});
  for (const char* id : {"long", "short", "shorter"}) REQUIRE_OK(coordinator->Submit(SpecOf(id)));
  for (const char* id : {"shorter", "short", "long"}) REQUIRE_OK(coordinator->Cancel(id, ""));
  REQUIRE_OK(coordinator->Submit(SpecOf("next")));
  std::vector<std::string> ids;
  for (const v1::JobStatus& job : coordinator->List()) ids.push_back(job.job_id());
  CHECK(ids == std::vector<std::string>{"long", "short", "next"});
}

// Standard error is a pipe that is full, and that nobody reads before the end.
class StuckStandardError {
 public:
  StuckStandardError() : saved_(dup(STDERR_FILENO)) {
    REQUIRE(pipe2(ends_, O_CLOEXEC | O_NONBLOCK) == 0);
    const std::string page(4096, '.');
    while (write(ends_[1], page.data(), page.size()) > 0) {
    }
    REQUIRE(fcntl(ends_[1], F_SETFL, 0) == 0);
    REQUIRE(dup2(ends_[1], STDERR_FILENO) >= 0);
  }
  // Reads what was written, until the threads that write are done.
  void Drain(std::thread* writer) {
    std::atomic<bool> ended = false;
    std::thread reader([&] {
      std::string page(4096, '.');
      while (!ended) {
        pollfd readable{ends_[0], POLLIN, 0};
        if (poll(&readable, 1, 10) > 0) static_cast<void>(!read(ends_[0], page.data(), page.size()));
      }
    });
    writer->join();
    ended = true;
    reader.join();
  }
  ~StuckStandardError() {
    dup2(saved_, STDERR_FILENO);
    for (const int fd : {ends_[0], ends_[1], saved_}) close(fd);
  }

 private:
  int ends_[2] = {-1, -1};
  const int saved_;
};

TEST_CASE("a standard error that nobody reads holds up whoever has something to log, and nobody else") {
  const TempDir dir;
  const auto coordinator = CoordinatorIn(dir);
  REQUIRE_OK(InitLogging({"test", "info"}));
  bool answered = false;
  {
    StuckStandardError stuck;
    std::thread joining([&] {
      v1::JoinRequest join;
      join.set_name("anna");
      coordinator->Join(join);
    });
    std::future<void> seen = std::async(std::launch::async, [&] {
      while (coordinator->Status().workers_size() == 0) {
      }
    });
    answered = seen.wait_for(std::chrono::seconds(30)) == std::future_status::ready;
    stuck.Drain(&joining);
  }
  REQUIRE_OK(InitLogging({"test", "warning"}));
  CHECK(answered);
}

TEST_CASE("the status shows servers, workers and jobs") {
  const TempDir dir;
  const auto coordinator = CoordinatorIn(dir);
  REQUIRE_OK(coordinator->SetAddress("127.0.0.1:7777"));
  v1::RegisterServerRequest server;
  server.set_address("127.0.0.1:1");
  server.set_apply_threads(3);
  REQUIRE_OK(coordinator->RegisterServer(server));
  REQUIRE_OK(coordinator->RegisterServer(server));
  v1::JoinRequest join;
  join.set_name("anna");
  coordinator->Join(join);
  REQUIRE_OK(coordinator->Submit(SpecOf("lenet")));
  const v1::ClusterStatus status = coordinator->Status();
  CHECK(status.coordinator() == "127.0.0.1:7777");
  REQUIRE(status.servers_size() == 1);
  CHECK(status.servers(0).apply_threads() == 3);
  REQUIRE(status.workers_size() == 1);
  CHECK(status.workers(0).name() == "anna");
  REQUIRE(status.jobs_size() == 1);
  CHECK(status.jobs(0).job_id() == "lenet");
}

TEST_CASE("a coordinator that is started again knows its jobs") {
  const TempDir dir;
  {
    const auto coordinator = CoordinatorIn(dir);
    for (const char* id : {"ended", "waiting", "replaced"}) REQUIRE_OK(coordinator->Submit(SpecOf(id)));
    REQUIRE_OK(coordinator->Cancel("ended", "no longer needed"));
    REQUIRE_OK(coordinator->Cancel("replaced", ""));
    REQUIRE_OK(coordinator->Submit(SpecOf("replaced")));
  }
  const auto coordinator = CoordinatorIn(dir);
  const std::vector<v1::JobStatus> jobs = coordinator->List();
  REQUIRE(jobs.size() == 3);
  CHECK(jobs[0].job_id() == "ended");
  CHECK(jobs[0].state() == v1::JOB_STATE_CANCELLED);
  CHECK(jobs[0].cause() == "no longer needed");
  CHECK(jobs[0].ended_unix_ms() >= jobs[0].submitted_unix_ms());
  CHECK(jobs[1].job_id() == "waiting");
  CHECK(jobs[1].state() == v1::JOB_STATE_QUEUED);
  CHECK_FALSE(jobs[1].recovered());
  CHECK(jobs[2].job_id() == "replaced");
  CHECK(jobs[2].state() == v1::JOB_STATE_QUEUED);
  v1::JobSpec kept = *coordinator->GetSpec("waiting");
  // The coordinator has added the run.
  CHECK(kept.run() != 0);
  kept.clear_run();
  v1::JobSpec submitted = SpecOf("waiting");
  submitted.mutable_consistency();
  CHECK(kept.SerializeAsString() == submitted.SerializeAsString());
  // New names do not meet old ones.
  REQUIRE_OK(coordinator->Submit(SpecOf("")));
  CHECK(coordinator->List().size() == 4);
}

std::vector<uint64_t> HistoryOf(const Coordinator& coordinator, const std::string& id, uint32_t max_points = 0) {
  v1::GetHistoryRequest request;
  request.set_job_id(id);
  request.set_max_points(max_points);
  std::vector<uint64_t> iterations;
  REQUIRE_OK(coordinator.History(request, [&](const v1::HistoryBlock& block) {
    CHECK(block.iterations_size() <= 1000);
    CHECK(block.output_names_size() == 1);
    CHECK(block.outputs_size() == block.iterations_size());
    iterations.insert(iterations.end(), block.iterations().begin(), block.iterations().end());
    return true;
  }));
  return iterations;
}

TEST_CASE("an ended job's curve is sent from the table, and is also that of a job that resumes it") {
  const TempDir dir;
  v1::JobSpec spec = SpecOf("job");
  spec.mutable_train_outputs()->add_outputs()->set_name("loss");
  {
    const auto table = LmdbJobTable::Open(dir.path() + "/coordinator/jobs", 1);
    REQUIRE_OK(table.status());
    JobTable::Entry entry;
    entry.number = 1;
    entry.spec = spec;
    entry.record.set_begun(true);
    entry.record.mutable_status()->set_state(v1::JOB_STATE_SUCCEEDED);
    REQUIRE_OK((*table)->Insert(entry, {}));
    v1::HistoryBlock block;
    for (int i = 0; i < 1000; ++i) {
      block.add_iterations(static_cast<uint64_t>(i));
      block.add_seconds(i);
      block.add_losses(static_cast<float>(i));
      block.add_learning_rates(0.1f);
      block.add_outputs(static_cast<float>(i));
    }
    REQUIRE_OK((*table)->UpdateHistory({{1, {{{0, 0}, block}}, {}}}));
  }
  {
    const auto coordinator = CoordinatorIn(dir);
    CHECK(HistoryOf(*coordinator, "job").size() == 1000);
    CHECK(HistoryOf(*coordinator, "job", 2) == std::vector<uint64_t>{0, 999});
    v1::GetHistoryRequest unknown;
    unknown.set_job_id("jub");
    REQUIRE_STATUS(coordinator->History(unknown, [](const v1::HistoryBlock&) { return true; }),
                   absl::StatusCode::kNotFound, "there is no job \"jub\"; did you mean \"job\"?");
    v1::JobSpec resumed = spec;
    resumed.set_resume(true);
    REQUIRE_OK(coordinator->Submit(resumed));
    CHECK(HistoryOf(*coordinator, "job").size() == 1000);
  }
  {
    // It still waits.
    const auto coordinator = CoordinatorIn(dir);
    CHECK(coordinator->Get("job")->state() == v1::JOB_STATE_QUEUED);
    CHECK(HistoryOf(*coordinator, "job").size() == 1000);
    REQUIRE_OK(coordinator->Cancel("job", ""));
    CHECK(HistoryOf(*coordinator, "job").size() == 1000);
    REQUIRE_OK(coordinator->Submit(spec));
    CHECK(HistoryOf(*coordinator, "job").empty());
  }
}

std::vector<std::string> LogOf(const Coordinator& coordinator, const std::string& id) {
  std::vector<std::string> lines;
  REQUIRE_OK(coordinator.Logs(
      id, 0, /*follow=*/false,
      [&](const v1::JobEvent& event) {
        lines.push_back(event.text());
        return true;
      },
      [] { return false; }));
  return lines;
}

TEST_CASE("a job's log is there after a restart, and goes on") {
  const TempDir dir;
  REQUIRE_OK(CoordinatorIn(dir)->Submit(SpecOf("lenet")));
  const auto coordinator = CoordinatorIn(dir);
  std::vector<std::string> followed;
  std::thread canceller([&] { CHECK(coordinator->Cancel("lenet", "enough").ok()); });
  const absl::Status end = coordinator->Logs(
      "lenet", 1, /*follow=*/true,
      [&](const v1::JobEvent& event) {
        followed.push_back(event.text());
        return true;
      },
      [] { return false; });
  canceller.join();
  REQUIRE_OK(end);
  REQUIRE(followed.size() == 2);
  CHECK(followed[0] == "the coordinator was started again; the job still waits");
  CHECK(followed[1] == "CANCELLED: enough");
  CHECK(LogOf(*coordinator, "lenet").front() == "submitted");
}

TEST_CASE("a snapshot is asked for of running jobs only") {
  const TempDir dir;
  const auto coordinator = CoordinatorIn(dir);
  REQUIRE_OK(coordinator->Submit(SpecOf("lenet")));
  REQUIRE_STATUS(coordinator->Snapshot("lenet"), absl::StatusCode::kFailedPrecondition, "QUEUED");
  REQUIRE_STATUS(coordinator->Snapshot("lennet"), absl::StatusCode::kNotFound, R"("lenet")");
}

// While it lives, no file of this process can grow beyond so many bytes: the file's size now, as on a disk that is
// full.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) {
    signal(SIGXFSZ, SIG_IGN);
    REQUIRE(getrlimit(RLIMIT_FSIZE, &former_) == 0);
    const rlimit small = {bytes, former_.rlim_max};
    REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
  }
  ~FullDisk() {
    setrlimit(RLIMIT_FSIZE, &former_);
    signal(SIGXFSZ, SIG_DFL);
  }

 private:
  rlimit former_;
};

TEST_CASE("a job whose numbers or texts are beyond all measure is refused, and names which") {
  const TempDir dir;
  const auto coordinator = CoordinatorIn(dir);
  const auto refused = [&](const std::function<void(v1::JobSpec*)>& change, const std::string& what) {
    v1::JobSpec spec = SpecOf("job");
    change(&spec);
    REQUIRE_STATUS(coordinator->Submit(spec).status(), absl::StatusCode::kInvalidArgument, what);
  };
  const auto add_test = [](v1::JobSpec* spec) {
    spec->add_test_nets();
    spec->add_test_outputs();
    *spec->add_test_data() = spec->train_data();
    return spec->mutable_test_data(0);
  };
  refused([&](v1::JobSpec* spec) { add_test(spec)->set_records(UINT64_MAX); }, "test_data 0: records must be at most");
  refused([&](v1::JobSpec* spec) { add_test(spec)->set_batch_size(UINT32_MAX); },
          "test_data 0: batch_size must be at most");
  refused([](v1::JobSpec* spec) { spec->mutable_train_data()->set_records(uint64_t{1} << 63); },
          "train_data: records must be at most");
  refused([](v1::JobSpec* spec) { spec->mutable_train_data()->set_uri("a\n" + std::string(1 << 20, 'x')); }, "a\\nxxx");
  refused([](v1::JobSpec* spec) { spec->set_servers(UINT32_MAX); }, "servers must be at most");
  refused([](v1::JobSpec* spec) { spec->mutable_solver()->set_average_loss(INT32_MAX); },
          "solver.average_loss must be at most");
  refused([](v1::JobSpec* spec) { spec->mutable_solver()->set_iter_size(INT32_MAX); },
          "solver.iter_size must be at most");
  refused([](v1::JobSpec* spec) { spec->mutable_layout()->mutable_blobs(0)->set_layer("\x1b[2J"); }, "\\x1b[2J");
  refused([](v1::JobSpec* spec) { spec->mutable_train_outputs()->add_outputs()->set_name(std::string(1 << 20, 'n')); },
          "train_outputs");
}

TEST_CASE("a job in the table that cannot be taken up is FAILED with the reason, and the others go on") {
  const TempDir dir;
  {
    const auto table = LmdbJobTable::Open(dir.path() + "/coordinator/jobs", 1);
    REQUIRE_OK(table.status());
    JobTable::Entry entry;
    entry.number = 1;
    entry.spec = SpecOf("bad");
    entry.spec.add_test_nets();
    entry.spec.add_test_outputs();
    *entry.spec.add_test_data() = entry.spec.train_data();
    entry.spec.mutable_test_data(0)->set_records(UINT64_MAX);
    entry.record.set_begun(true);
    entry.record.mutable_status()->set_state(v1::JOB_STATE_RUNNING);
    REQUIRE_OK((*table)->Insert(entry, {}));
    entry.number = 2;
    entry.spec = SpecOf("good");
    REQUIRE_OK((*table)->Insert(entry, {}));
  }
  const auto coordinator = CoordinatorIn(dir);
  const auto bad = coordinator->Get("bad");
  REQUIRE_OK(bad);
  CHECK(bad->state() == v1::JOB_STATE_FAILED);
  CHECK(absl::StrContains(bad->cause(), "test_data 0: records must be at most"));
  const auto good = coordinator->Get("good");
  REQUIRE_OK(good);
  CHECK(good->state() == v1::JOB_STATE_QUEUED);
}

TEST_CASE("what peers call themselves is short, and one line") {
  const TempDir dir;
  const auto coordinator = CoordinatorIn(dir);
  v1::JoinRequest join;
  join.set_name("a\nE server: forged\x1b[2J" + std::string(1 << 20, 'x'));
  coordinator->Join(join);
  const v1::ClusterStatus status = coordinator->Status();
  REQUIRE(status.workers_size() == 1);
  CHECK(status.workers(0).name().size() < 400);
  CHECK(absl::StartsWith(status.workers(0).name(), "a\\nE server: forged\\x1b[2Jxxx"));
  v1::RegisterServerRequest server;
  server.set_address("host\n:1");
  CHECK_FALSE(coordinator->RegisterServer(server).ok());
}

TEST_CASE("a full disk refuses a job, and the jobs that there are go on") {
  const TempDir dir;
  {
    const auto coordinator = CoordinatorIn(dir);
    REQUIRE_OK(coordinator->Submit(SpecOf("first")));
    v1::JobSpec large = SpecOf("second");
    large.mutable_solver()->set_snapshot_prefix(std::string(1 << 20, 'x'));
    {
      const FullDisk full(std::filesystem::file_size(dir.File("coordinator/jobs/data.mdb")));
      REQUIRE_STATUS(coordinator->Submit(large), absl::StatusCode::kResourceExhausted, "nothing was submitted");
      CHECK(coordinator->List().size() == 1);
      // A coordinator that is started again would not know of it: that is no success.
      REQUIRE_STATUS(coordinator->Cancel("first", "enough"), absl::StatusCode::kResourceExhausted,
                     "cannot write that down");
      CHECK(coordinator->Get("first")->state() == v1::JOB_STATE_CANCELLED);
    }
    REQUIRE_OK(coordinator->Cancel("first", "enough"));
    REQUIRE_OK(coordinator->Submit(large));
  }
  const auto coordinator = CoordinatorIn(dir);
  CHECK(coordinator->Get("first")->state() == v1::JOB_STATE_CANCELLED);
  CHECK(coordinator->Get("second")->state() == v1::JOB_STATE_QUEUED);
}

}  // namespace
}  // namespace samovar
