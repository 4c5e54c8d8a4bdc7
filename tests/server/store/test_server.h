// A ParameterService on a real gRPC server on loopback, and a client of it, with verbs that keep tests short.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/rpc/deadlines.h"
#include "common/rpc/dialer.h"
#include "common/rpc/listener.h"
#include "common/rpc/status.h"
#include "samovar/v1/parameter.grpc.pb.h"
#include "server/store/parameter_service.h"
#include "tests/server/store/test_job.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {

class TestServer {
 public:
  explicit TestServer(const std::string& state_dir, uint64_t max_parameter_bytes = 0)
      : TestServer(state_dir, [max_parameter_bytes](ParameterService::Options* options) {
          options->max_parameter_bytes = max_parameter_bytes;
        }) {}
  TestServer(const std::string& state_dir, const std::function<void(ParameterService::Options*)>& change) {
    ParameterService::Options options;
    options.apply_threads = 2;
    options.queue_threads = 2;
    options.state_dir = state_dir;
    options.metrics = &metrics_;
    change(&options);
    auto created = ParameterService::Create(options);
    REQUIRE_OK(created);
    service_ = *std::move(created);
    Listener listener({.address = "127.0.0.1:0"});
    service_->Register(listener.builder());
    auto started = listener.Start();
    REQUIRE_OK(started);
    server_ = *std::move(started);
    service_->Start();
    address_ = listener.address();
  }
  ~TestServer() { Stop(); }

  // In the order that ParameterService documents.
  void Stop() {
    if (server_ == nullptr) return;
    service_->CancelStreams();
    server_->Shutdown(absl::ToChronoTime(absl::Now() + absl::Seconds(10)));
    service_->Shutdown();
    server_.reset();
    service_.reset();
  }

  const std::string& address() const { return address_; }
  // The metrics of the server.
  const Metrics& metrics() const { return metrics_; }

 private:
  Metrics metrics_;
  std::unique_ptr<ParameterService> service_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

// A worker's connection with one open stream.
class TestClient {
 public:
  explicit TestClient(const TestServer& server)
      : stub_(v1::ParameterService::NewStub(Dialer(RpcOptions()).Dial(server.address()))) {
    context_.set_wait_for_ready(true);
    stream_ = stub_->Exchange(&context_);
  }
  // A client that leaves without a word.
  ~TestClient() {
    context_.TryCancel();
    if (!finished_) stream_->Finish();
  }

  bool Send(const v1::ExchangeRequest& request) { return stream_->Write(request); }
  bool Receive(v1::ExchangeResponse* response) { return stream_->Read(response); }

  v1::ExchangeResponse Ask(v1::ExchangeRequest request) {
    request.set_sequence(++sequence_);
    REQUIRE(Send(request));
    v1::ExchangeResponse response;
    REQUIRE(Receive(&response));
    REQUIRE(response.sequence() == sequence_);
    return response;
  }

  // As Ask, where success is expected.
  v1::ExchangeResponse AskOk(const v1::ExchangeRequest& request) {
    v1::ExchangeResponse response = Ask(request);
    INFO(response.message());
    REQUIRE(response.code() == 0);
    return response;
  }

  absl::Status AskForError(const v1::ExchangeRequest& request) {
    const v1::ExchangeResponse response = Ask(request);
    REQUIRE(response.weights().empty());
    return absl::Status(static_cast<absl::StatusCode>(response.code()), response.message());
  }

  // Says that no requests follow.
  bool WritesDone() { return stream_->WritesDone(); }
  // The stream's own status. REQUIRES: all answers were received, or the stream is broken
  absl::Status Finish() {
    finished_ = true;
    return FromGrpcStatus(stream_->Finish());
  }

  absl::StatusOr<v1::OpenJobResponse> Open(const v1::OpenJobRequest& request = MakeJob()) {
    return Call(&v1::ParameterService::Stub::OpenJob, request, v1::OpenJobResponse());
  }
  absl::StatusOr<v1::GetLedgersResponse> Ledgers(const std::string& job_id = "job") {
    v1::GetLedgersRequest request;
    request.set_job_id(job_id);
    return Call(&v1::ParameterService::Stub::GetLedgers, request, v1::GetLedgersResponse());
  }
  absl::Status Freeze(uint64_t iteration, uint64_t epoch = 1) {
    return Call(&v1::ParameterService::Stub::Freeze, Named<v1::FreezeRequest>(iteration, epoch), v1::FreezeResponse())
        .status();
  }
  absl::Status Thaw(uint64_t iteration) {
    return Call(&v1::ParameterService::Stub::Thaw, Named<v1::ThawRequest>(iteration, 1), v1::ThawResponse()).status();
  }
  absl::StatusOr<v1::PersistResponse> Persist(uint64_t iteration, uint64_t epoch = 1) {
    return Call(&v1::ParameterService::Stub::Persist, Named<v1::PersistRequest>(iteration, epoch),
                v1::PersistResponse());
  }
  absl::StatusOr<v1::SkipResponse> Skip(uint64_t iteration, uint32_t part = 0, uint64_t opening = 0) {
    v1::SkipRequest request = Named<v1::SkipRequest>(iteration, 1);
    request.set_part(part);
    request.set_opening(opening);
    return Call(&v1::ParameterService::Stub::Skip, request, v1::SkipResponse());
  }
  absl::StatusOr<v1::ListSnapshotsResponse> Snapshots(const std::string& job_id = "job") {
    v1::ListSnapshotsRequest request;
    request.set_job_id(job_id);
    return Call(&v1::ParameterService::Stub::ListSnapshots, request, v1::ListSnapshotsResponse());
  }
  absl::Status Close(uint64_t epoch = 1, uint64_t before_opening = 0, const std::string& job_id = "job") {
    v1::CloseJobRequest request;
    request.set_job_id(job_id);
    request.set_epoch(epoch);
    request.set_before_opening(before_opening);
    return Call(&v1::ParameterService::Stub::CloseJob, request, v1::CloseJobResponse()).status();
  }

 private:
  template <typename Request>
  static Request Named(uint64_t iteration, uint64_t epoch) {
    Request request;
    request.set_job_id("job");
    request.set_epoch(epoch);
    request.set_iteration(iteration);
    return request;
  }

  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (v1::ParameterService::Stub::*method)(grpc::ClientContext*, const Request&,
                                                                                   Response*),
                                const Request& request, Response response) {
    grpc::ClientContext context;
    SetDeadline(&context, absl::Seconds(60));
    context.set_wait_for_ready(true);
    const absl::Status status = FromGrpcStatus((*stub_.*method)(&context, request, &response));
    if (!status.ok()) return status;
    return response;
  }

  std::unique_ptr<v1::ParameterService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::ExchangeRequest, v1::ExchangeResponse>> stream_;
  uint64_t sequence_ = 0;
  bool finished_ = false;
};

}  // namespace samovar
