#include "server/coordinator/parameter_servers.h"

#include <utility>

#include "common/base/status_macros.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"

namespace samovar {
namespace {

using Stub = v1::ParameterService::Stub;
using Stubs = std::vector<std::unique_ptr<Stub>>;
template <typename Request, typename Response>
using AsyncMethod = std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> (Stub::*)(grpc::ClientContext*, const Request&,
                                                                                       grpc::CompletionQueue*);

// For calls that read, fill or write a whole model.
constexpr absl::Duration kModelDeadline = absl::Minutes(5);

template <typename Request, typename Response>
absl::StatusOr<std::vector<Response>> CallAll(const Stubs& stubs, const std::vector<std::string>& addresses,
                                              AsyncMethod<Request, Response> method, absl::Duration timeout,
                                              absl::FunctionRef<Request(size_t)> request) {
  struct Call {
    grpc::ClientContext context;
    grpc::Status status;
    std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> reader;
  };
  grpc::CompletionQueue queue;
  std::vector<Call> calls(stubs.size());
  std::vector<Response> responses(stubs.size());
  for (size_t i = 0; i < stubs.size(); ++i) {
    SetDeadline(&calls[i].context, timeout);
    calls[i].context.set_wait_for_ready(true);
    calls[i].reader = (stubs[i].get()->*method)(&calls[i].context, request(i), &queue);
    calls[i].reader->Finish(&responses[i], &calls[i].status, &calls[i]);
  }
  // Each call has a deadline, so that each tag comes.
  void* tag = nullptr;
  bool ok = false;
  for (size_t i = 0; i < stubs.size(); ++i) queue.Next(&tag, &ok);
  queue.Shutdown();
  while (queue.Next(&tag, &ok)) {
  }
  for (size_t i = 0; i < stubs.size(); ++i) {
    if (!calls[i].status.ok()) return Annotate(FromGrpcStatus(calls[i].status), absl::StrCat("server ", addresses[i]));
  }
  return responses;
}

}  // namespace

ParameterServers::ParameterServers(std::vector<std::string> addresses) : addresses_(std::move(addresses)) {
  for (const std::string& address : addresses_) stubs_.push_back(v1::ParameterService::NewStub(MakeChannel(address)));
}

absl::StatusOr<std::vector<v1::OpenJobResponse>> ParameterServers::OpenJob(
    absl::FunctionRef<v1::OpenJobRequest(size_t)> request) const {
  return CallAll<v1::OpenJobRequest, v1::OpenJobResponse>(stubs_, addresses_, &Stub::AsyncOpenJob, kModelDeadline, request);
}

absl::StatusOr<std::vector<v1::ListSnapshotsResponse>> ParameterServers::ListSnapshots(const std::string& job_id) const {
  const auto request = [&](size_t) {
    v1::ListSnapshotsRequest message;
    message.set_job_id(job_id);
    return message;
  };
  return CallAll<v1::ListSnapshotsRequest, v1::ListSnapshotsResponse>(stubs_, addresses_, &Stub::AsyncListSnapshots,
                                                                      kControlDeadline, request);
}

absl::StatusOr<std::vector<v1::GetLedgersResponse>> ParameterServers::GetLedgers(const std::string& job_id) const {
  const auto request = [&](size_t) {
    v1::GetLedgersRequest message;
    message.set_job_id(job_id);
    return message;
  };
  return CallAll<v1::GetLedgersRequest, v1::GetLedgersResponse>(stubs_, addresses_, &Stub::AsyncGetLedgers, kControlDeadline,
                                                                request);
}

absl::Status ParameterServers::Freeze(const std::string& job_id, uint64_t epoch, uint64_t iteration) const {
  const auto request = [&](size_t) {
    v1::FreezeRequest message;
    message.set_job_id(job_id);
    message.set_epoch(epoch);
    message.set_iteration(iteration);
    return message;
  };
  return CallAll<v1::FreezeRequest, v1::FreezeResponse>(stubs_, addresses_, &Stub::AsyncFreeze, kModelDeadline, request).status();
}

absl::Status ParameterServers::Persist(const std::string& job_id, uint64_t epoch, uint64_t iteration, uint32_t keep) const {
  const auto request = [&](size_t) {
    v1::PersistRequest message;
    message.set_job_id(job_id);
    message.set_epoch(epoch);
    message.set_iteration(iteration);
    message.set_keep(keep);
    return message;
  };
  return CallAll<v1::PersistRequest, v1::PersistResponse>(stubs_, addresses_, &Stub::AsyncPersist, kModelDeadline, request)
      .status();
}

absl::Status ParameterServers::Thaw(const std::string& job_id, uint64_t epoch, uint64_t iteration) const {
  const auto request = [&](size_t) {
    v1::ThawRequest message;
    message.set_job_id(job_id);
    message.set_epoch(epoch);
    message.set_iteration(iteration);
    return message;
  };
  return CallAll<v1::ThawRequest, v1::ThawResponse>(stubs_, addresses_, &Stub::AsyncThaw, kControlDeadline, request).status();
}

absl::Status ParameterServers::CloseJob(const std::string& job_id, uint64_t epoch) const {
  const auto request = [&](size_t) {
    v1::CloseJobRequest message;
    message.set_job_id(job_id);
    message.set_epoch(epoch);
    return message;
  };
  return CallAll<v1::CloseJobRequest, v1::CloseJobResponse>(stubs_, addresses_, &Stub::AsyncCloseJob, kControlDeadline, request)
      .status();
}

}  // namespace samovar
