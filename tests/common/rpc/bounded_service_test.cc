#include "common/rpc/bounded_service.h"

#include <grpcpp/generic/generic_stub.h>

#include <functional>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/rpc/deadlines.h"
#include "common/rpc/dialer.h"
#include "common/rpc/listener.h"
#include "common/rpc/status.h"
#include "samovar/v1/job.grpc.pb.h"
#include "tests/support/byte_buffers.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

constexpr char kGet[] = "/samovar.v1.JobService/Get";
constexpr char kWatch[] = "/samovar.v1.JobService/Watch";

// A service that does what a test says.
class Jobs final : public v1::JobService::Service {
 public:
  std::function<grpc::Status(const std::string& job_id)> answer = [](const std::string&) { return grpc::Status::OK; };

  grpc::Status Get(grpc::ServerContext*, const v1::GetJobStatusRequest* request, v1::JobStatus* response) override {
    response->set_job_id(request->job_id());
    return answer(request->job_id());
  }
  grpc::Status Watch(grpc::ServerContext*, const v1::WatchRequest* request,
                     grpc::ServerWriter<v1::JobStatus>* writer) override {
    v1::JobStatus status;
    status.set_job_id(request->job_id());
    writer->Write(status);
    return answer(request->job_id());
  }
};

struct Fixture {
  explicit Fixture(const RequestGate::Options& options = {}) : gate(options) {
    bounded.Add(kGet, &jobs, &Jobs::Get);
    bounded.Add(kWatch, &jobs, &Jobs::Watch);
    Listener listener({.address = "127.0.0.1:0"});
    listener.builder()->RegisterService(&bounded);
    auto started = listener.Start();
    REQUIRE_OK(started);
    server = *std::move(started);
    channel = Dialer(RpcOptions()).Dial(listener.address());
    stub = v1::JobService::NewStub(channel);
  }
  ~Fixture() { server->Shutdown(); }

  absl::StatusOr<v1::JobStatus> Get(const std::string& job_id) {
    grpc::ClientContext context;
    SetDeadline(&context, absl::Seconds(60));
    v1::GetJobStatusRequest request;
    request.set_job_id(job_id);
    v1::JobStatus response;
    const absl::Status status = FromGrpcStatus(stub->Get(&context, request, &response));
    if (!status.ok()) return status;
    return response;
  }

  RequestGate gate;
  Jobs jobs;
  BoundedService bounded{&gate};
  std::unique_ptr<grpc::Server> server;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::JobService::Stub> stub;
};

TEST_CASE_METHOD(Fixture, "calls come to the service, and its answers back, one message or several") {
  const auto status = Get("lenet");
  REQUIRE_OK(status);
  CHECK(status->job_id() == "lenet");
  jobs.answer = [](const std::string&) { return ToGrpcStatus(absl::NotFoundError("no such job")); };
  REQUIRE_STATUS(Get("lenet"), absl::StatusCode::kNotFound, "no such job");
  grpc::ClientContext context;
  SetDeadline(&context, absl::Seconds(60));
  v1::WatchRequest request;
  request.set_job_id("lenet");
  const auto reader = stub->Watch(&context, request);
  v1::JobStatus read;
  REQUIRE(reader->Read(&read));
  CHECK(read.job_id() == "lenet");
  CHECK_FALSE(reader->Read(&read));
  CHECK(FromGrpcStatus(reader->Finish()).code() == absl::StatusCode::kNotFound);
}

TEST_CASE_METHOD(Fixture, "what a handler throws ends its call with an error, and the next call is served") {
  jobs.answer = [](const std::string& job_id) -> grpc::Status {
    if (job_id == "large") throw std::bad_alloc();
    throw std::runtime_error("index 7");
  };
  REQUIRE_STATUS(Get("large"), absl::StatusCode::kResourceExhausted, "out of memory");
  REQUIRE_STATUS(Get("other"), absl::StatusCode::kInternal, "index 7");
  jobs.answer = [](const std::string&) { return grpc::Status::OK; };
  REQUIRE_OK(Get("other"));
}

TEST_CASE_METHOD(Fixture, "bytes that are no request are refused by the name of what they should be") {
  grpc::GenericStub generic(channel);
  grpc::CompletionQueue queue;
  grpc::ClientContext context;
  SetDeadline(&context, absl::Seconds(60));
  const auto call = generic.PrepareUnaryCall(&context, kGet,
                                             BufferOf("\x0a\x05"
                                                      "abc",
                                                      100),
                                             &queue);
  call->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  int tag = 0;
  call->Finish(&response, &status, &tag);
  void* got = nullptr;
  bool ok = false;
  REQUIRE(queue.Next(&got, &ok));
  REQUIRE_STATUS(FromGrpcStatus(status), absl::StatusCode::kInvalidArgument, "the request is no GetJobStatusRequest");
  queue.Shutdown();
}

struct Small : Fixture {
  Small() : Fixture({.max_requests = 2, .max_request_bytes = 1000, .max_total_bytes = 1500}) {}
};

TEST_CASE_METHOD(Small, "requests are bounded, one by one and in total, and the bound is told") {
  absl::Notification inside, go_on;
  jobs.answer = [&](const std::string& job_id) {
    if (job_id.front() == 'w') {
      inside.Notify();
      go_on.WaitForNotification();
    }
    return grpc::Status::OK;
  };
  REQUIRE_STATUS(Get(std::string(1001, 'x')), absl::StatusCode::kResourceExhausted, "one may have at most 1000");
  bool served = false;
  std::thread waiting([&] { served = Get(std::string(900, 'w')).ok(); });
  inside.WaitForNotification();
  const auto refused = Get(std::string(900, 'x'));
  const auto small = Get("x");
  go_on.Notify();
  waiting.join();
  CHECK(served);
  REQUIRE_STATUS(refused, absl::StatusCode::kResourceExhausted, "of at most 1500 already; try again later");
  REQUIRE_OK(small);
  REQUIRE_OK(Get(std::string(900, 'x')));
}

TEST_CASE("a gate lets so many requests in at a time") {
  Metrics metrics;
  MetricCounter* const refused = metrics.AddCounter("samovar_test_refused_total", "Refused requests.");
  RequestGate gate({.max_requests = 2}, refused);
  auto first = gate.Enter(1);
  REQUIRE_OK(first);
  {
    auto second = gate.Enter(1);
    REQUIRE_OK(second);
    REQUIRE_STATUS(gate.Enter(1), absl::StatusCode::kResourceExhausted, "works on 2 requests already");
  }
  REQUIRE_OK(gate.Enter(1));
  CHECK(refused->Value() == 1);
}

}  // namespace
}  // namespace samovar
