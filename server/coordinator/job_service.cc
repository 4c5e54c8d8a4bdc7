#include "server/coordinator/job_service.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/model/exported_snapshot.h"
#include "common/rpc/status.h"

namespace samovar {
namespace {

constexpr uint32_t kMinIntervalMs = 50;
constexpr uint32_t kDefaultIntervalMs = 500;
constexpr uint32_t kMaxIntervalMs = 3600 * 1000;

}  // namespace

void JobService::AddTo(BoundedService* calls) {
  calls->Add("/samovar.v1.JobService/Submit", this, &JobService::Submit);
  calls->Add("/samovar.v1.JobService/Get", this, &JobService::Get);
  calls->Add("/samovar.v1.JobService/List", this, &JobService::List);
  calls->Add("/samovar.v1.JobService/Cancel", this, &JobService::Cancel);
  calls->Add("/samovar.v1.JobService/Forget", this, &JobService::Forget);
  calls->Add("/samovar.v1.JobService/Watch", this, &JobService::Watch);
  calls->Add("/samovar.v1.JobService/GetSpec", this, &JobService::GetSpec);
  calls->Add("/samovar.v1.JobService/Logs", this, &JobService::Logs);
  calls->Add("/samovar.v1.JobService/Snapshot", this, &JobService::Snapshot);
  calls->Add("/samovar.v1.JobService/AcknowledgeSnapshots", this, &JobService::AcknowledgeSnapshots);
}

grpc::Status JobService::Submit(grpc::ServerContext*, const v1::SubmitRequest* request, v1::SubmitResponse* response) {
  absl::StatusOr<std::string> id = coordinator_.Submit(request->spec());
  if (!id.ok()) return ToGrpcStatus(id.status());
  response->set_job_id(*std::move(id));
  return grpc::Status::OK;
}

grpc::Status JobService::Get(grpc::ServerContext*, const v1::GetJobStatusRequest* request, v1::JobStatus* response) {
  absl::StatusOr<v1::JobStatus> status = coordinator_.Get(request->job_id());
  if (!status.ok()) return ToGrpcStatus(status.status());
  *response = *std::move(status);
  return grpc::Status::OK;
}

grpc::Status JobService::List(grpc::ServerContext*, const v1::ListJobsRequest*, v1::ListJobsResponse* response) {
  for (v1::JobStatus& status : coordinator_.List()) *response->add_jobs() = std::move(status);
  return grpc::Status::OK;
}

grpc::Status JobService::Cancel(grpc::ServerContext*, const v1::CancelRequest* request, v1::CancelResponse*) {
  return ToGrpcStatus(coordinator_.Cancel(request->job_id(), request->reason()));
}

grpc::Status JobService::Forget(grpc::ServerContext*, const v1::ForgetRequest* request, v1::ForgetResponse*) {
  return ToGrpcStatus(coordinator_.Forget(request->job_id()));
}

grpc::Status JobService::AsWatcher(absl::FunctionRef<absl::Status()> call) {
  if (watchers_.fetch_add(1) >= kMaxWatchers) {
    watchers_.fetch_sub(1);
    return ToGrpcStatus(absl::ResourceExhaustedError(absl::StrCat("more than ", kMaxWatchers, " watchers; use Get")));
  }
  const absl::Cleanup leave = [this] { watchers_.fetch_sub(1); };
  return ToGrpcStatus(call());
}

grpc::Status JobService::Watch(grpc::ServerContext* context, const v1::WatchRequest* request,
                               grpc::ServerWriter<v1::JobStatus>* writer) {
  const uint32_t wanted = request->interval_ms() == 0 ? kDefaultIntervalMs : request->interval_ms();
  const absl::Duration interval = absl::Milliseconds(std::clamp(wanted, kMinIntervalMs, kMaxIntervalMs));
  return AsWatcher([&] {
    return coordinator_.Watch(
        request->job_id(), interval, request->displays() ? std::optional(request->first_display()) : std::nullopt,
        [&](const v1::JobStatus& status) {
          const WriteDeadlines::Write write(&deadlines_, context, status.ByteSizeLong());
          return writer->Write(status);
        },
        [&] { return context->IsCancelled(); });
  });
}

grpc::Status JobService::GetSpec(grpc::ServerContext*, const v1::GetSpecRequest* request, v1::JobSpec* response) {
  absl::StatusOr<v1::JobSpec> spec = coordinator_.GetSpec(request->job_id());
  if (!spec.ok()) return ToGrpcStatus(spec.status());
  *response = *std::move(spec);
  return grpc::Status::OK;
}

grpc::Status JobService::Logs(grpc::ServerContext* context, const v1::LogsRequest* request,
                              grpc::ServerWriter<v1::JobEvent>* writer) {
  return AsWatcher([&] {
    return coordinator_.Logs(
        request->job_id(), request->after(), request->follow(),
        [&](const v1::JobEvent& event) {
          const WriteDeadlines::Write write(&deadlines_, context, event.ByteSizeLong());
          return writer->Write(event);
        },
        [&] { return context->IsCancelled(); });
  });
}

grpc::Status JobService::AcknowledgeSnapshots(grpc::ServerContext*, const v1::AcknowledgeSnapshotsRequest* request,
                                              v1::AcknowledgeSnapshotsResponse*) {
  return ToGrpcStatus(
      coordinator_.AcknowledgeSnapshots(request->job_id(), {request->snapshots().begin(), request->snapshots().end()}));
}

grpc::Status JobService::Snapshot(grpc::ServerContext*, const v1::SnapshotRequest* request,
                                  v1::SnapshotResponse* response) {
  const absl::StatusOr<uint64_t> iteration =
      coordinator_.Snapshot(request->job_id(), request->export_directory(), request->last());
  if (!iteration.ok()) return ToGrpcStatus(iteration.status());
  response->set_iteration(*iteration);
  if (!request->export_directory().empty()) {
    response->set_exported_to(ExportPath(request->export_directory(), request->job_id(), *iteration));
  }
  return grpc::Status::OK;
}

}  // namespace samovar
