#include "server/monitor/status_service.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/rpc/status.h"
#include "server/monitor/status_changes.h"

namespace samovar {
namespace {

constexpr uint32_t kDefaultIntervalMs = 1000;
constexpr uint32_t kMinIntervalMs = 100;
constexpr uint32_t kMaxIntervalMs = 60'000;
constexpr absl::Duration kShared = absl::Milliseconds(250);
// A watcher looks at whether it was cancelled this often.
constexpr absl::Duration kTick = absl::Milliseconds(100);

}  // namespace

void StatusService::AddTo(BoundedService* calls) {
  calls->Add("/samovar.v1.StatusService/GetStatus", this, &StatusService::GetStatus);
  calls->Add("/samovar.v1.StatusService/GetHistory", this, &StatusService::GetHistory);
  calls->Add("/samovar.v1.StatusService/WatchStatus", this, &StatusService::WatchStatus);
}

v1::ClusterStatus StatusService::Recent() {
  absl::MutexLock lock(&mu_);
  if (SteadyNow() - recent_at_ >= kShared) {
    recent_ = status_();
    recent_at_ = SteadyNow();
  }
  return recent_;
}

grpc::Status StatusService::GetStatus(grpc::ServerContext*, const v1::GetStatusRequest*, v1::ClusterStatus* response) {
  *response = status_();
  return grpc::Status::OK;
}

absl::Status StatusService::SendHistory(const v1::GetHistoryRequest& request,
                                        absl::FunctionRef<bool(const v1::HistoryBlock&)> send) {
  const int others = histories_.fetch_add(1);
  const absl::Cleanup leave = [this] { histories_.fetch_sub(1); };
  if (others >= kMaxHistories) {
    return absl::ResourceExhaustedError(
        absl::StrCat("more than ", kMaxHistories, " histories are sent at this moment; ask again later"));
  }
  if (history_ == nullptr) return absl::UnimplementedError("this server is no coordinator, and has no jobs");
  return history_(request, send);
}

grpc::Status StatusService::GetHistory(grpc::ServerContext* context, const v1::GetHistoryRequest* request,
                                       grpc::ServerWriter<v1::HistoryBlock>* writer) {
  return ToGrpcStatus(SendHistory(*request, [&](const v1::HistoryBlock& block) {
    const WriteDeadlines::Write write(&deadlines_, context, block.ByteSizeLong());
    return writer->Write(block);
  }));
}

grpc::Status StatusService::WatchStatus(grpc::ServerContext* context, const v1::WatchStatusRequest* request,
                                        grpc::ServerWriter<v1::ClusterStatus>* writer) {
  const absl::Cleanup leave = [this] { watchers_.fetch_sub(1); };
  if (watchers_.fetch_add(1) >= kMaxWatchers) {
    return ToGrpcStatus(
        absl::ResourceExhaustedError(absl::StrCat("more than ", kMaxWatchers, " watchers; use GetStatus")));
  }
  const uint32_t wanted = request->interval_ms() == 0 ? kDefaultIntervalMs : request->interval_ms();
  const absl::Duration interval = absl::Milliseconds(std::clamp(wanted, kMinIntervalMs, kMaxIntervalMs));
  StatusChanges changes;
  while (!context->IsCancelled()) {
    if (stopper_.stopped()) return ToGrpcStatus(absl::UnavailableError("the server is stopping"));
    if (std::optional<v1::ClusterStatus> status = changes.Next(Recent())) {
      const WriteDeadlines::Write write(&deadlines_, context, status->ByteSizeLong());
      if (!writer->Write(*status)) break;
    }
    const absl::Time until = SteadyNow() + interval;
    while (SteadyNow() < until && !context->IsCancelled() && !stopper_.stopped()) {
      stopper_.WaitFor(std::min(kTick, until - SteadyNow()));
    }
  }
  return ToGrpcStatus(absl::CancelledError("the watcher has gone"));
}

}  // namespace samovar
