#include "server/cluster/parameter_servers.h"

#include <memory>
#include <numeric>
#include <utility>

#include "common/base/status_macros.h"
#include "common/rpc/deadlines.h"
#include "common/rpc/status.h"

namespace samovar {
namespace {

using Stub = v1::ParameterService::Stub;
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
  const std::vector<std::string>& addresses;
  ServerChannels& channels;
  const Stopper& stopper;
};

// Makes the call at the servers of these indices, and puts their answers in. Returns the indices of those that could
// not be reached on a connection from before.
template <typename Request, typename Response>
std::vector<size_t> CallThese(const Fan& fan, AsyncMethod<Request, Response> method, absl::Duration timeout,
                              absl::FunctionRef<Request(size_t)> request, const std::vector<size_t>& asked,
                              std::vector<absl::StatusOr<Response>>* answers) {
  grpc::CompletionQueue queue;
  std::vector<Call> calls(asked.size());
  std::vector<Response> responses(asked.size());
  std::vector<ServerChannels::Channel> channels;
  std::vector<std::unique_ptr<grpc::ClientAsyncResponseReader<Response>>> readers;
  for (size_t k = 0; k < asked.size(); ++k) {
    SetDeadline(&calls[k].context, timeout);
    channels.push_back(fan.channels.To(fan.addresses[asked[k]]));
    readers.push_back((channels[k].stub.get()->*method)(&calls[k].context, request(asked[k]), &queue));
    readers[k]->Finish(&responses[k], &calls[k].status, &calls[k]);
  }
  AwaitAll(&queue, &calls, fan.stopper);
  std::vector<size_t> stale;
  for (size_t k = 0; k < asked.size(); ++k) {
    const std::string& address = fan.addresses[asked[k]];
    if (calls[k].status.ok()) {
      (*answers)[asked[k]] = std::move(responses[k]);
      continue;
    }
    const absl::Status status = Annotate(FromGrpcStatus(calls[k].status), absl::StrCat("server ", address));
    if (absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status)) fan.channels.Drop(address, channels[k]);
    if (absl::IsUnavailable(status) && channels[k].kept) stale.push_back(asked[k]);
    (*answers)[asked[k]] = status;
  }
  return stale;
}

template <typename Request, typename Response>
std::vector<absl::StatusOr<Response>> CallEach(const Fan& fan, AsyncMethod<Request, Response> method,
                                               absl::Duration timeout, absl::FunctionRef<Request(size_t)> request) {
  std::vector<absl::StatusOr<Response>> answers(fan.addresses.size());
  std::vector<size_t> all(answers.size());
  std::iota(all.begin(), all.end(), size_t{0});
  const std::vector<size_t> stale = CallThese(fan, method, timeout, request, all, &answers);
  if (!stale.empty() && !fan.stopper.stopped()) CallThese(fan, method, timeout, request, stale, &answers);
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

std::vector<absl::StatusOr<v1::OpenJobResponse>> ParameterServers::OpenJob(
    absl::FunctionRef<v1::OpenJobRequest(size_t)> request) const {
  return CallEach<v1::OpenJobRequest, v1::OpenJobResponse>({addresses_, *channels_, *stopper_}, &Stub::AsyncOpenJob,
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
      {addresses_, *channels_, *stopper_}, &Stub::AsyncListSnapshots, kControlDeadline, request);
}

absl::StatusOr<std::vector<v1::GetLedgersResponse>> ParameterServers::GetLedgers(const std::string& job_id) const {
  const auto request = [&](size_t) {
    v1::GetLedgersRequest message;
    message.set_job_id(job_id);
    return message;
  };
  return CallAll<v1::GetLedgersRequest, v1::GetLedgersResponse>({addresses_, *channels_, *stopper_},
                                                                &Stub::AsyncGetLedgers, kControlDeadline, request);
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
  return CallAll<v1::FreezeRequest, v1::FreezeResponse>({addresses_, *channels_, *stopper_}, &Stub::AsyncFreeze,
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
  return CallAll<v1::PersistRequest, v1::PersistResponse>({addresses_, *channels_, *stopper_}, &Stub::AsyncPersist,
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
             {addresses_, *channels_, *stopper_}, &Stub::AsyncRetainSnapshots, kControlDeadline, request)
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
  return CallAll<v1::ExportRequest, v1::ExportResponse>({addresses_, *channels_, *stopper_}, &Stub::AsyncExport,
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
  return CallAll<v1::ThawRequest, v1::ThawResponse>({addresses_, *channels_, *stopper_}, &Stub::AsyncThaw,
                                                    kControlDeadline, request)
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
  return CallAll<v1::CloseJobRequest, v1::CloseJobResponse>({addresses_, *channels_, *stopper_}, &Stub::AsyncCloseJob,
                                                            kControlDeadline, request)
      .status();
}

}  // namespace samovar
