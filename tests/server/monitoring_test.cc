// What monitors see of real servers: StatusService on each, gRPC's health and reflection, and the pages.

#include <grpcpp/generic/generic_stub.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/http/http_client.h"
#include "samovar/v1/status.grpc.pb.h"
#include "tests/server/test_cluster.h"
#include "tests/server/test_worker.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(60);

std::unique_ptr<v1::StatusService::Stub> StatusOf(const std::string& address) {
  return v1::StatusService::NewStub(Dialer(RpcOptions()).Dial(address));
}

v1::ClusterStatus Ask(const std::string& address) {
  const auto stub = StatusOf(address);
  grpc::ClientContext context;
  SetDeadline(&context, kPatience);
  context.set_wait_for_ready(true);
  v1::ClusterStatus status;
  REQUIRE_OK(FromGrpcStatus(stub->GetStatus(&context, v1::GetStatusRequest(), &status)));
  return status;
}

v1::ClusterStatus AskUntil(const std::string& address, const std::function<bool(const v1::ClusterStatus&)>& wanted) {
  const absl::Time deadline = SteadyNow() + kPatience;
  while (true) {
    v1::ClusterStatus status = Ask(address);
    if (wanted(status) || SteadyNow() > deadline) return status;
  }
}

// A unary call of a service that the test has no code for. The answer's bytes.
absl::StatusOr<std::string> Call(const std::string& address, const std::string& method, const std::string& request) {
  const auto channel = Dialer(RpcOptions()).Dial(address);
  grpc::GenericStub stub(channel);
  grpc::CompletionQueue queue;
  grpc::ClientContext context;
  SetDeadline(&context, kPatience);
  context.set_wait_for_ready(true);
  const grpc::Slice slice(request);
  const auto call = stub.PrepareUnaryCall(&context, method, grpc::ByteBuffer(&slice, 1), &queue);
  call->StartCall();
  grpc::ByteBuffer answer;
  grpc::Status status;
  call->Finish(&answer, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  if (!status.ok()) return FromGrpcStatus(status);
  std::vector<grpc::Slice> slices;
  if (!answer.Dump(&slices).ok()) return absl::InternalError("no bytes");
  std::string bytes;
  for (const grpc::Slice& part : slices) bytes.append(reinterpret_cast<const char*>(part.begin()), part.size());
  return bytes;
}

// grpc.health.v1.HealthCheckRequest{service}; 1 is SERVING, 2 is NOT_SERVING.
std::string HealthRequest(const std::string& service) {
  return service.empty() ? "" : absl::StrCat("\x0a", std::string(1, static_cast<char>(service.size())), service);
}

TEST_CASE("any server answers for itself, the coordinator for all") {
  const TempDir dir;
  TestCluster cluster(dir.path(), 3);
  const v1::ClusterStatus all =
      AskUntil(cluster.coordinator(), [](const v1::ClusterStatus& status) { return status.servers_size() == 3; });
  REQUIRE(all.servers_size() == 3);
  for (const v1::ServerStatus& server : all.servers()) {
    CHECK_FALSE(server.host().empty());
    CHECK_FALSE(server.version().empty());
    CHECK_FALSE(server.http().empty());
    CHECK(server.joined_unix_ms() > 0);
    CHECK(server.figures().max_parameter_bytes() > 0);
    CHECK(server.figures().disk_bytes() > 0);
    CHECK(server.figures().resident_bytes() > 0);
  }
  const v1::ClusterStatus own =
      AskUntil(cluster.address(2), [](const v1::ClusterStatus& status) { return status.epoch() != 0; });
  REQUIRE(own.servers_size() == 1);
  CHECK(own.servers(0).address() == cluster.address(2));
  CHECK(own.coordinator() == cluster.coordinator());
  CHECK(own.epoch() == all.epoch());
  CHECK(own.problems().empty());
}

TEST_CASE("a status tells a job's, a worker's and the servers' work") {
  const TempDir dir;
  TestCluster cluster(dir.path(), 2);
  v1::JobSpec spec = MakeSpec(40);
  spec.set_submitter("ada@node-1");
  REQUIRE_OK(cluster.Submit(spec));
  TestWorker worker(cluster.coordinator());
  const v1::JobStatus end = RunToEnd(&cluster, &worker, "lenet");
  CHECK(end.images_per_second() == 0);
  CHECK(end.eta_seconds() == 0);
  CHECK(end.mean_images_per_second() > 0);
  CHECK(end.submitter() == "ada@node-1");
  REQUIRE(end.snapshot_details_size() == 1);
  CHECK(end.snapshot_details(0).iteration() == 40);
  CHECK(end.snapshot_details(0).unix_ms() >= end.started_unix_ms());
  const v1::ClusterStatus status = AskUntil(cluster.coordinator(), [](const v1::ClusterStatus& now) {
    uint64_t pulls = 0;
    for (const v1::ServerStatus& server : now.servers()) pulls += server.figures().snapshots();
    return pulls == 2;
  });
  for (const v1::ServerStatus& server : status.servers()) {
    CHECK(server.figures().applied_pushes() > 0);
    CHECK(server.figures().received_bytes() > 0);
    CHECK(server.figures().apply_seconds() > 0);
    CHECK(server.figures().snapshots() == 1);
    CHECK(server.figures().snapshot_bytes() > 0);
    CHECK(server.figures().has_snapshot_age_seconds());
  }
}

TEST_CASE("a watcher of the status is sent what changes") {
  const TempDir dir;
  TestCluster cluster(dir.path(), 1);
  const auto stub = StatusOf(cluster.coordinator());
  grpc::ClientContext context;
  SetDeadline(&context, kPatience);
  context.set_wait_for_ready(true);
  v1::WatchStatusRequest request;
  request.set_interval_ms(100);
  const auto reader = stub->WatchStatus(&context, request);
  v1::ClusterStatus status;
  REQUIRE(reader->Read(&status));
  CHECK(status.coordinator() == cluster.coordinator());
  CHECK(status.jobs().empty());
  REQUIRE_OK(cluster.Submit(MakeSpec(5)));
  bool told = false;
  while (!told && reader->Read(&status)) told = status.jobs_size() == 1 && status.jobs(0).job_id() == "lenet";
  CHECK(told);
  context.TryCancel();
  reader->Finish();
}

TEST_CASE("gRPC's health service answers for each service, and reflection names them") {
  const TempDir dir;
  TestCluster cluster(dir.path(), 2);
  const std::string method = "/grpc.health.v1.Health/Check";
  for (const char* service : {"", "samovar.v1.ParameterService", "samovar.v1.StatusService"}) {
    INFO(service);
    const auto answer = Call(cluster.address(1), method, HealthRequest(service));
    REQUIRE_OK(answer);
    CHECK(*answer == "\x08\x01");
  }
  CHECK(Call(cluster.coordinator(), method, HealthRequest("samovar.v1.JobService")).value_or("") == "\x08\x01");
  CHECK(Call(cluster.address(1), method, HealthRequest("samovar.v1.JobService")).status().code() ==
        absl::StatusCode::kNotFound);
}

TEST_CASE("pages are served by each server") {
  const TempDir dir;
  TestCluster cluster(dir.path(), 2);
  (void)AskUntil(cluster.address(1), [](const v1::ClusterStatus& status) { return status.epoch() != 0; });
  HttpClient client;
  const auto get = [&](size_t server, const std::string& path) {
    const auto answer = client.Send({.url = absl::StrCat("http://", cluster.server(server).http(), path)});
    REQUIRE_OK(answer);
    return absl::StrCat(answer->status, " ", answer->body);
  };
  CHECK(absl::StartsWith(get(0, "/healthz"), "200 "));
  CHECK(absl::StartsWith(get(1, "/readyz"), "200 "));
  CHECK(absl::StrContains(get(1, "/metrics"), "samovar_server_pulls_total 0"));
  CHECK(absl::StrContains(get(1, "/metrics"), "process_cpu_seconds_total"));
  CHECK_FALSE(absl::StrContains(get(1, "/metrics"), "samovar_cluster_servers"));
  CHECK(absl::StrContains(get(0, "/metrics"), "samovar_cluster_servers 2\n"));
  CHECK(absl::StrContains(get(0, "/api/v1/status"), absl::StrCat("\"coordinator\": \"", cluster.coordinator(), "\"")));
  for (const size_t server : {0, 1}) CHECK(absl::StartsWith(get(server, "/"), "200 <!DOCTYPE html>"));
  CHECK(absl::StartsWith(get(0, "/nothing"), "404 "));
  CHECK(absl::StartsWith(get(0, "/api/v1/history?job=a%20b"), "404 there is no job \"a b\""));
  CHECK(absl::StartsWith(get(0, "/api/v1/events?job=a%20b"), "404 there is no job \"a b\""));
  CHECK(absl::StartsWith(get(1, "/api/v1/history?job=a"), "404 this server is no coordinator"));
}

TEST_CASE("a job's curve and events are served to browsers") {
  const TempDir dir;
  TestCluster cluster(dir.path(), 2);
  REQUIRE_OK(cluster.Submit(MakeSpec(40)));
  TestWorker worker(cluster.coordinator());
  RunToEnd(&cluster, &worker, "lenet");
  HttpClient client;
  const auto get = [&](const std::string& path) {
    const auto answer = client.Send({.url = absl::StrCat("http://", cluster.server(0).http(), path)});
    REQUIRE_OK(answer);
    return answer->body;
  };
  const std::string curve = get("/api/v1/history?job=lenet&first=38");
  INFO(curve);
  CHECK(absl::StrContains(curve, "\"iterations\":[\"38\",\"39\"]"));
  CHECK(absl::StrContains(curve, "\"losses\":[1,1]"));
  const std::string events = get("/api/v1/events?job=lenet&after=0");
  INFO(events);
  CHECK(absl::StrContains(events, "\"text\":\"submitted\""));
  CHECK(absl::StrContains(events, "\"text\":\"SUCCEEDED\""));
}

}  // namespace
}  // namespace samovar
