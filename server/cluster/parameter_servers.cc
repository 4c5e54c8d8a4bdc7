#include "server/cluster/parameter_servers.h"

#include <utility>

#include "common/base/status_macros.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"

namespace samovar {
namespace {

using Stub = v1::ParameterService::Stub;
using Stubs = std::vector<std::unique_ptr<Stub>>;
template <typename Request, typename Response>
using AsyncMethod = std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> (Stub::*)(grpc::ClientContext*,
                                                                                         const Request&,
                                                                                         grpc::CompletionQueue*);

// For calls that read, fill or write a whole model.
constexpr absl::Duration kModelDeadline = absl::Minutes(5);

// The stopper is looked at this often while answers are awaited.
constexpr absl::Duration kStopTick = absl::Milliseconds(100);

struct Call {
  grpc::ClientContext context;
  grpc::Status status;
};

// Takes one tag a call from the queue; each comes, since each call has a deadline.
void AwaitAll(grpc::CompletionQueue* queue, std::vector<Call>* calls, const Stopper& stopper) {
  for (size_t ended = 0; ended < calls->size();) {
    void* tag = nullptr;
    bool ok = false;
    const auto next = queue->AsyncNext(&tag, &ok, DeadlineIn(kStopTick));
    if (next == grpc::CompletionQueue::GOT_EVENT) ++ended;
    if (!stopper.stopped()) continue;
    for (Call& call : *calls) call.context.TryCancel();
  }
  queue->Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue->Next(&tag, &ok)) {
  }
}

// The parts of its ParameterServers that one fan-out needs.
struct Fan {
  const Stubs& stubs;
  const std::vector<std::string>& addresses;
  const Stopper& stopper;
};

template <typename Request, typename Response>
std::vector<absl::StatusOr<Response>> CallEach(const Fan& fan, AsyncMethod<Request, Response> method,
                                               absl::Duration timeout, absl::FunctionRef<Request(size_t)> request) {
  const size_t servers = fan.stubs.size();
  grpc::CompletionQueue queue;
  std::vector<Call> calls(servers);
  std::vector<Response> responses(servers);
  std::vector<std::unique_ptr<grpc::ClientAsyncResponseReader<Response>>> readers;
  for (size_t i = 0; i < servers; ++i) {
    SetDeadline(&calls[i].context, timeout);
    readers.push_back((fan.stubs[i].get()->*method)(&calls[i].context, request(i), &queue));
    readers[i]->Finish(&responses[i], &calls[i].status, &calls[i]);
  }
  AwaitAll(&queue, &calls, fan.stopper);
  std::vector<absl::StatusOr<Response>> answers;
  for (size_t i = 0; i < servers; ++i) {
    if (calls[i].status.ok()) {
      answers.push_back(std::move(responses[i]));
    } else {
      answers.push_back(Annotate(FromGrpcStatus(calls[i].status), absl::StrCat("server ", fan.addresses[i])));
    }
  }
  return answers;
}

template <typename Request, typename Response>
absl::StatusOr<std::vector<Response>> CallAll(const Fan& fan, AsyncMethod<Request, Response> method,
                                              absl::Duration timeout, absl::FunctionRef<Request(size_t)> request) {
  std::vector<Response> responses;
  for (absl::StatusOr<Response>& answer : CallEach<Request, Response>(fan, method, timeout, request)) {
    SAMOVAR_RETURN_IF_ERROR(answer.status());
    responses.push_back(*std::move(answer));
  }
  return responses;
}

}  // namespace

ParameterServers::ParameterServers(std::vector<std::string> addresses, const Stopper* stopper)
    : addresses_(std::move(addresses)), stopper_(stopper) {
  for (const std::string& address : addresses_) stubs_.push_back(v1::ParameterService::NewStub(MakeChannel(address)));
}

std::vector<absl::StatusOr<v1::OpenJobResponse>> ParameterServers::OpenJob(
    absl::FunctionRef<v1::OpenJobRequest(size_t)> request) const {
  return CallEach<v1::OpenJobRequest, v1::OpenJobResponse>({stubs_, addresses_, *stopper_}, &Stub::AsyncOpenJob,
                                                           kModelDeadline, request);
}

absl::StatusOr<std::vector<v1::ListSnapshotsResponse>> ParameterServers::ListSnapshots(
    const std::string& job_id) const {
  const auto request = [&](size_t) {
    v1::ListSnapshotsRequest message;
    message.set_job_id(job_id);
    return message;
  };
  return CallAll<v1::ListSnapshotsRequest, v1::ListSnapshotsResponse>(
      {stubs_, addresses_, *stopper_}, &Stub::AsyncListSnapshots, kControlDeadline, request);
}

absl::StatusOr<std::vector<v1::GetLedgersResponse>> ParameterServers::GetLedgers(const std::string& job_id) const {
  const auto request = [&](size_t) {
    v1::GetLedgersRequest message;
    message.set_job_id(job_id);
    return message;
  };
  return CallAll<v1::GetLedgersRequest, v1::GetLedgersResponse>({stubs_, addresses_, *stopper_}, &Stub::AsyncGetLedgers,
                                                                kControlDeadline, request);
}

absl::Status ParameterServers::Freeze(const std::string& job_id, uint64_t epoch, uint64_t opening,
                                      uint64_t iteration) const {
  const auto request = [&](size_t) {
    v1::FreezeRequest message;
    message.set_job_id(job_id);
    message.set_epoch(epoch);
    message.set_opening(opening);
    message.set_iteration(iteration);
    return message;
  };
  return CallAll<v1::FreezeRequest, v1::FreezeResponse>({stubs_, addresses_, *stopper_}, &Stub::AsyncFreeze,
                                                        kModelDeadline, request)
      .status();
}

absl::Status ParameterServers::Persist(const std::string& job_id, uint64_t epoch, uint64_t opening,
                                       uint64_t iteration) const {
  const auto request = [&](size_t) {
    v1::PersistRequest message;
    message.set_job_id(job_id);
    message.set_epoch(epoch);
    message.set_opening(opening);
    message.set_iteration(iteration);
    return message;
  };
  return CallAll<v1::PersistRequest, v1::PersistResponse>({stubs_, addresses_, *stopper_}, &Stub::AsyncPersist,
                                                          kModelDeadline, request)
      .status();
}

absl::Status ParameterServers::RetainSnapshots(const std::string& job_id, uint64_t epoch, uint64_t opening,
                                               const std::set<SnapshotId>& keep) const {
  const auto request = [&](size_t) {
    v1::RetainSnapshotsRequest message;
    message.set_job_id(job_id);
    message.set_epoch(epoch);
    message.set_opening(opening);
    for (const auto& [run, iteration] : keep) {
      v1::SnapshotName* const name = message.add_keep();
      name->set_run(run);
      name->set_iteration(iteration);
    }
    return message;
  };
  return CallAll<v1::RetainSnapshotsRequest, v1::RetainSnapshotsResponse>(
             {stubs_, addresses_, *stopper_}, &Stub::AsyncRetainSnapshots, kControlDeadline, request)
      .status();
}

absl::StatusOr<std::vector<v1::ExportResponse>> ParameterServers::Export(const std::string& job_id, uint64_t epoch,
                                                                         uint64_t opening, uint64_t iteration,
                                                                         const std::string& directory) const {
  const auto request = [&](size_t) {
    v1::ExportRequest message;
    message.set_job_id(job_id);
    message.set_epoch(epoch);
    message.set_opening(opening);
    message.set_iteration(iteration);
    message.set_directory(directory);
    return message;
  };
  return CallAll<v1::ExportRequest, v1::ExportResponse>({stubs_, addresses_, *stopper_}, &Stub::AsyncExport,
                                                        kModelDeadline, request);
}

absl::Status ParameterServers::Thaw(const std::string& job_id, uint64_t epoch, uint64_t opening,
                                    uint64_t iteration) const {
  const auto request = [&](size_t) {
    v1::ThawRequest message;
    message.set_job_id(job_id);
    message.set_epoch(epoch);
    message.set_opening(opening);
    message.set_iteration(iteration);
    return message;
  };
  return CallAll<v1::ThawRequest, v1::ThawResponse>({stubs_, addresses_, *stopper_}, &Stub::AsyncThaw, kControlDeadline,
                                                    request)
      .status();
}

absl::Status ParameterServers::CloseJob(const std::string& job_id, uint64_t epoch, uint64_t before_opening) const {
  const auto request = [&](size_t) {
    v1::CloseJobRequest message;
    message.set_job_id(job_id);
    message.set_epoch(epoch);
    message.set_before_opening(before_opening);
    return message;
  };
  return CallAll<v1::CloseJobRequest, v1::CloseJobResponse>({stubs_, addresses_, *stopper_}, &Stub::AsyncCloseJob,
                                                            kControlDeadline, request)
      .status();
}

}  // namespace samovar
