#include "cli/run/look_at_standstill.h"

#include <vector>

#include "common/base/clock.h"
#include "common/rpc/deadlines.h"
#include "samovar/v1/job.grpc.pb.h"
#include "samovar/v1/status.grpc.pb.h"

namespace samovar {
namespace {

// Meanwhile the run that is followed waits.
constexpr absl::Duration kDeadline = absl::Seconds(1);

}  // namespace

std::optional<StandstillFacts> LookAtStandstill(const std::shared_ptr<grpc::Channel>& channel,
                                                const std::string& job_id, Standstill* standstill) {
  if (!standstill->IsDue(SteadyNow())) return std::nullopt;
  v1::ClusterStatus cluster;
  grpc::ClientContext status_context;
  SetDeadline(&status_context, kDeadline);
  const grpc::Status known =
      v1::StatusService::NewStub(channel)->GetStatus(&status_context, v1::GetStatusRequest(), &cluster);
  if (!known.ok()) {
    standstill->Postpone(SteadyNow());
    return std::nullopt;
  }
  v1::LogsRequest request;
  request.set_job_id(job_id);
  grpc::ClientContext logs_context;
  SetDeadline(&logs_context, kDeadline);
  std::vector<v1::JobEvent> events;
  const auto reader = v1::JobService::NewStub(channel)->Logs(&logs_context, request);
  for (v1::JobEvent event; reader->Read(&event);) events.push_back(std::move(event));
  // Without them there is still something to say.
  [[maybe_unused]] const grpc::Status ignored = reader->Finish();
  return standstill->Explain(cluster, events, SteadyNow());
}

}  // namespace samovar
