#include "server/coordinator/coordinator.h"

#include <thread>

#include "absl/synchronization/notification.h"
#include "server/coordinator/epoch_file.h"
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
      id, absl::Milliseconds(1),
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
  CHECK(coordinator->Get("second")->cause() == "waits for the jobs that were submitted before it");
  // The first says that it lacks servers as soon as its runner has looked.
  REQUIRE_OK(coordinator->Watch(
      "first", absl::Milliseconds(1),
      [](const v1::JobStatus& status) { return status.cause() != "waits for servers: 0 of 2 have registered"; },
      [] { return false; }));
  v1::RegisterServerRequest server;
  server.set_address("127.0.0.1:1");
  REQUIRE_OK(coordinator->RegisterServer(server));
  REQUIRE_OK(coordinator->Watch(
      "first", absl::Milliseconds(1),
      [](const v1::JobStatus& status) { return status.cause() != "waits for servers: 1 of 2 have registered"; },
      [] { return false; }));
  REQUIRE_STATUS(coordinator->Get("third"), absl::StatusCode::kNotFound, "third");
}

TEST_CASE("a watcher sees a job's end, whoever ends it") {
  const TempDir dir;
  const auto coordinator = CoordinatorIn(dir);
  REQUIRE_OK(coordinator->Submit(SpecOf("cancelled")));
  REQUIRE_OK(coordinator->Submit(SpecOf("stopped")));
  absl::Status cancelled;
  std::thread canceller([&] { cancelled = coordinator->Cancel("cancelled", ""); });
  v1::JobStatus end = EndOf(*coordinator, "cancelled");
  canceller.join();
  REQUIRE_OK(cancelled);
  CHECK(end.state() == v1::JOB_STATE_CANCELLED);
  CHECK(end.cause() == "cancelled by a user");
  coordinator->Stop();
  end = EndOf(*coordinator, "stopped");
  CHECK(end.state() == v1::JOB_STATE_CANCELLED);
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
  const auto coordinator = CoordinatorIn(dir);
  for (size_t i = 0; i < 2 * Coordinator::kMaxEndedJobs; ++i) {
    const std::string id = "job" + std::to_string(i);
    REQUIRE_OK(coordinator->Submit(SpecOf(id)));
    REQUIRE_OK(coordinator->Cancel(id, ""));
  }
  CHECK(coordinator->List().size() <= Coordinator::kMaxEndedJobs + 1);
}

TEST_CASE("the status shows servers, workers and jobs") {
  const TempDir dir;
  const auto coordinator = CoordinatorIn(dir);
  coordinator->SetAddress("127.0.0.1:7777");
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

}  // namespace
}  // namespace samovar
