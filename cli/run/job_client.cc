#include "cli/run/job_client.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <optional>

#include "absl/strings/str_cat.h"
#include "cli/run/alarm.h"
#include "cli/run/fetch_curve.h"
#include "common/base/clock.h"
#include "common/base/process_usage.h"
#include "common/base/status_macros.h"
#include "common/base/utf8.h"
#include "common/caffe/utf8_fields.h"
#include "common/rpc/deadlines.h"
#include "common/rpc/status.h"

namespace samovar {
namespace {

// A coordinator that is busy, or being started again, gets so long to take the connection: a single attempt to connect
// is given up after a tenth of a second (common/rpc/dialer.cc).
constexpr absl::Duration kConnect = absl::Seconds(3);
// Finding the coordinator by the home takes several requests to a storage, which has patience with each.
constexpr absl::Duration kHomeDeadline = absl::Minutes(1);
// Somebody waits at a terminal.
constexpr absl::Duration kDeadline = absl::Seconds(5);
// The coordinator checks the job and writes it down; large nets take a while.
constexpr absl::Duration kSubmitDeadline = absl::Seconds(30);
// A curve may have some megabytes, which the coordinator may have to read from a storage.
constexpr absl::Duration kCurveDeadline = absl::Seconds(20);

template <typename Request>
Request RequestFor(const std::string& job_id) {
  Request request;
  request.set_job_id(job_id);
  return request;
}

// "user@host"; empty if it is no text.
std::string Submitter() {
  const char* const user = std::getenv("USER");
  const std::string name = user != nullptr && *user != '\0' ? user : absl::StrCat(getuid());
  const std::string submitter = absl::StrCat(name, "@", MachineName());
  return IsUtf8(submitter) ? submitter : "";
}

}  // namespace

JobClient::JobClient(const ClusterOptions& options, bool is_patient)
    : place_(options.coordinator),
      source_(options.coordinator_source.empty() ? "" : absl::StrCat(" (as ", options.coordinator_source, " says)")),
      storage_(options.storage),
      is_patient_(is_patient),
      dialer_(options.rpc),
      coordinator_(std::make_shared<CoordinatorChannel>(options.coordinator, dialer_, options.storage)) {}

absl::StatusOr<std::shared_ptr<grpc::Channel>> JobClient::AwaitConnection(absl::Time until) const {
  absl::StatusOr<std::shared_ptr<grpc::Channel>> channel;
  // Orders nothing: the thread that sets it is joined before it is read.
  std::atomic<bool> late = false;
  {
    std::optional<Alarm> alarm;
    if (!is_patient_ && ClusterHome::IsHome(place_)) {
      alarm.emplace(std::min(until, SteadyNow() + kHomeDeadline), [&] {
        late = true;
        storage_.Stop();
      });
    }
    channel = coordinator_->Get();
  }
  if (!channel.ok() && late) {
    return absl::UnavailableError(absl::StrCat(
        place_, source_,
        ": this storage has not answered in time where the coordinator is; look whether it is reached from "
        "here (samovar fs ls ",
        place_, ")"));
  }
  SAMOVAR_RETURN_IF_ERROR(channel.status());
  (*channel)->WaitForConnected(DeadlineIn(std::min(kConnect, until - SteadyNow())));
  return channel;
}

absl::Status JobClient::Explain(const grpc::Status& status) const {
  const absl::Status cause = FromGrpcStatus(status);
  coordinator_->Note(cause);
  if (absl::IsUnavailable(cause) || absl::IsDeadlineExceeded(cause)) {
    return absl::Status(cause.code(),
                        absl::StrCat("no coordinator answers at ", address(), source_, " (", cause.message(),
                                     "); look whether samovar-server --coordinator runs there, and listens on "
                                     "that address"));
  }
  if (absl::IsUnimplemented(cause)) {
    return absl::Status(cause.code(), absl::StrCat(address(), source_,
                                                   " is no coordinator, or one of an older version; name the server of "
                                                   "the cluster that was started with --coordinator"));
  }
  return Annotate(cause, absl::StrCat("coordinator ", address()));
}

template <typename Service, typename Response, typename Request>
absl::StatusOr<Response> JobClient::Call(grpc::Status (Service::Stub::*method)(grpc::ClientContext*, const Request&,
                                                                               Response*),
                                         const Request& request, absl::Duration deadline, absl::Time until) const {
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel, AwaitConnection(until));
  const auto stub = Service::NewStub(channel);
  grpc::ClientContext context;
  SetDeadline(&context, std::min(deadline, until - SteadyNow()));
  Response response;
  SAMOVAR_RETURN_IF_ERROR(Explain((stub.get()->*method)(&context, request, &response)));
  return response;
}

absl::StatusOr<std::string> JobClient::Submit(const v1::JobSpec& spec) const {
  // Else no more than "cannot be parsed" would come back.
  SAMOVAR_RETURN_IF_ERROR(CheckUtf8Fields(spec, [](const auto&) { return "the job"; }));
  v1::SubmitRequest request;
  *request.mutable_spec() = spec;
  request.mutable_spec()->set_submitter(Submitter());
  SAMOVAR_ASSIGN_OR_RETURN(const v1::SubmitResponse response,
                           Call<v1::JobService>(&v1::JobService::Stub::Submit, request, kSubmitDeadline));
  return response.job_id();
}

absl::StatusOr<v1::JobStatus> JobClient::Get(const std::string& job_id) const {
  return Call<v1::JobService>(&v1::JobService::Stub::Get, RequestFor<v1::GetJobStatusRequest>(job_id), kDeadline);
}

absl::StatusOr<v1::ListJobsResponse> JobClient::List() const {
  return Call<v1::JobService>(&v1::JobService::Stub::List, v1::ListJobsRequest(), kDeadline);
}

absl::Status JobClient::Cancel(const std::string& job_id) const {
  return Call<v1::JobService>(&v1::JobService::Stub::Cancel, RequestFor<v1::CancelRequest>(job_id), kDeadline).status();
}

absl::Status JobClient::Forget(const std::string& job_id) const {
  return Call<v1::JobService>(&v1::JobService::Stub::Forget, RequestFor<v1::ForgetRequest>(job_id), kDeadline).status();
}

absl::StatusOr<v1::JobSpec> JobClient::GetSpec(const std::string& job_id) const {
  return Call<v1::JobService>(&v1::JobService::Stub::GetSpec, RequestFor<v1::GetSpecRequest>(job_id), kDeadline);
}

absl::StatusOr<v1::SnapshotResponse> JobClient::Snapshot(const std::string& job_id,
                                                         const std::string& export_directory) const {
  v1::SnapshotRequest request = RequestFor<v1::SnapshotRequest>(job_id);
  request.set_export_directory(export_directory);
  return Call<v1::JobService>(&v1::JobService::Stub::Snapshot, request, kDeadline);
}

absl::StatusOr<v1::ClusterStatus> JobClient::ClusterStatus(absl::Time until) const {
  return Call<v1::StatusService>(&v1::StatusService::Stub::GetStatus, v1::GetStatusRequest(), kDeadline, until);
}

absl::StatusOr<Curve> JobClient::History(const std::string& job_id, uint64_t first_iteration,
                                         uint32_t max_points) const {
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel, AwaitConnection(absl::InfiniteFuture()));
  Curve curve;
  SAMOVAR_RETURN_IF_ERROR(Explain(FetchCurve(channel, job_id, {first_iteration, max_points}, kCurveDeadline, &curve)));
  return curve;
}

absl::Status JobClient::Logs(const std::string& job_id, uint64_t after, bool follow,
                             absl::FunctionRef<void(const v1::JobEvent&)> take) const {
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel, AwaitConnection(absl::InfiniteFuture()));
  const auto stub = v1::JobService::NewStub(channel);
  grpc::ClientContext context;
  if (!follow) SetDeadline(&context, kDeadline);
  v1::LogsRequest request = RequestFor<v1::LogsRequest>(job_id);
  request.set_after(after);
  request.set_follow(follow);
  const std::unique_ptr<grpc::ClientReader<v1::JobEvent>> reader = stub->Logs(&context, request);
  v1::JobEvent event;
  while (reader->Read(&event)) take(event);
  return Explain(reader->Finish());
}

absl::Status JobClient::ProcessLog(const v1::GetProcessLogRequest& request,
                                   absl::FunctionRef<void(const v1::ProcessLogPart&)> take) const {
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel, AwaitConnection(absl::InfiniteFuture()));
  const auto stub = v1::ProcessLogService::NewStub(channel);
  grpc::ClientContext context;
  if (!request.follow()) SetDeadline(&context, kDeadline);
  const std::unique_ptr<grpc::ClientReader<v1::ProcessLogPart>> reader = stub->GetProcessLog(&context, request);
  v1::ProcessLogPart part;
  while (reader->Read(&part)) take(part);
  return Explain(reader->Finish());
}

}  // namespace samovar
