#include "worker/train/coordinator_session.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/rpc/log_lines.h"
#include "common/telemetry/guarded_turn.h"
#include "common/telemetry/log.h"
#include "common/telemetry/recent_log.h"

namespace samovar {
namespace {

// The bounds of a coordinator's requests; a value outside is taken for the nearest of these.
constexpr absl::Duration kShortestHeartbeat = absl::Milliseconds(10);
constexpr absl::Duration kLongestHeartbeat = absl::Seconds(10);
constexpr absl::Duration kShortestRetry = absl::Milliseconds(1);
constexpr absl::Duration kLongestRetry = absl::Seconds(5);

absl::Duration Clamped(uint32_t milliseconds, absl::Duration shortest, absl::Duration longest) {
  return std::clamp(absl::Milliseconds(milliseconds), shortest, longest);
}

}  // namespace

CoordinatorSession::CoordinatorSession(const std::string& coordinator, const Dialer& dialer,
                                       const StorageTable& storage, const v1::JoinRequest& self,
                                       std::function<v1::WorkerFigures()> figures)
    : self_(self), figures_(std::move(figures)), client_(coordinator, dialer, storage), heartbeat_(kShortestHeartbeat) {
  heartbeats_ = std::thread([this] { KeepKnown(); });
}

CoordinatorSession::~CoordinatorSession() {
  Stop();
  heartbeats_.join();
}

bool CoordinatorSession::unreachable() const {
  absl::MutexLock lock(&mu_);
  return unreachable_;
}

bool CoordinatorSession::joined() const { return worker_id() != 0; }

uint64_t CoordinatorSession::worker_id() const {
  absl::MutexLock lock(&mu_);
  return worker_id_;
}

absl::Status CoordinatorSession::Join() {
  SAMOVAR_ASSIGN_OR_RETURN(const v1::JoinResponse response, client_.Join(self_));
  if (response.worker_id() == 0) {
    return absl::InternalError(
        absl::StrCat("coordinator ", client_.address(), ": answered a join without a worker id"));
  }
  {
    absl::MutexLock lock(&mu_);
    outbox_.Begin(response.epoch());
    worker_id_ = response.worker_id();
    heartbeat_ = Clamped(response.heartbeat_ms(), kShortestHeartbeat, kLongestHeartbeat);
    revoked_early_.clear();
    sent_line_ = 0;
  }
  LogInfo(absl::StrCat("joined coordinator ", client_.address(), " as worker ", response.worker_id(), ", epoch ",
                       response.epoch()));
  return absl::OkStatus();
}

absl::StatusOr<CoordinatorSession::Answer> CoordinatorSession::AskForLease() {
  if (answer_lost_) return LeaveToJoinAgain();
  v1::LeaseRequest request;
  {
    absl::MutexLock lock(&mu_);
    held_.reset();
    request.set_worker_id(worker_id_);
  }
  SAMOVAR_RETURN_IF_ERROR(ReportUntilOneIsLeft());
  *request.mutable_report() = outbox_.Take();
  absl::StatusOr<v1::LeaseResponse> response = client_.Lease(request);
  if (!response.ok()) {
    outbox_.PutBack(std::move(*request.mutable_report()));
    if (absl::IsNotFound(response.status())) {
      Lost(request.worker_id());
    } else {
      answer_lost_ = true;
    }
    return response.status();
  }
  Answer answer;
  if (!response->has_lease()) {
    answer.retry_after = Clamped(response->retry_after_ms(), kShortestRetry, kLongestRetry);
    return answer;
  }
  answer.lease = std::make_shared<HeldLease>();
  answer.lease->lease = std::move(*response->mutable_lease());
  absl::MutexLock lock(&mu_);
  held_ = answer.lease;
  const auto early = std::find(revoked_early_.begin(), revoked_early_.end(), held_->lease.lease_id());
  if (stopping_ || worker_id_ != request.worker_id() || early != revoked_early_.end()) held_->ended.Stop();
  revoked_early_.clear();
  return answer;
}

absl::Status CoordinatorSession::LeaveToJoinAgain() {
  SAMOVAR_RETURN_IF_ERROR(Leave());
  answer_lost_ = false;
  {
    absl::MutexLock lock(&mu_);
    worker_id_ = 0;
  }
  return absl::AbortedError("left, to join again: the answer to the last request for a lease was lost");
}

absl::Status CoordinatorSession::Leave() {
  v1::LeaveRequest request;
  request.set_worker_id(worker_id());
  if (request.worker_id() == 0) return absl::OkStatus();
  SAMOVAR_RETURN_IF_ERROR(ReportUntilOneIsLeft());
  *request.mutable_report() = outbox_.Take();
  const absl::Status left = client_.Leave(request).status();
  if (!left.ok()) outbox_.PutBack(std::move(*request.mutable_report()));
  return left;
}

void CoordinatorSession::Stop() {
  stopper_.Stop();
  absl::MutexLock lock(&mu_);
  stopping_ = true;
  if (held_ != nullptr) held_->ended.Stop();
}

void CoordinatorSession::KeepKnown() {
  absl::Duration interval = kShortestHeartbeat;
  while (!stopper_.WaitFor(interval)) {
    RunTurn("the heartbeat", [this] {
      if (joined()) SendHeartbeat().IgnoreError();
    });
    absl::MutexLock lock(&mu_);
    interval = heartbeat_;
  }
}

absl::Status CoordinatorSession::ReportUntilOneIsLeft() {
  while (outbox_.Overfull()) SAMOVAR_RETURN_IF_ERROR(SendHeartbeat());
  return absl::OkStatus();
}

absl::Status CoordinatorSession::SendHeartbeat() {
  v1::HeartbeatRequest request;
  uint64_t line = 0;
  {
    absl::MutexLock lock(&mu_);
    line = sent_line_;
    if (worker_id_ == 0) return absl::NotFoundError("the worker has not joined");
    request.set_worker_id(worker_id_);
    if (held_ != nullptr) {
      request.add_leases(held_->lease.lease_id());
      *request.mutable_wait() = held_->waiting.Get();
      request.mutable_wait()->set_job_id(held_->lease.job_id());
    }
  }
  *request.mutable_figures() = figures_();
  line = AddLogLines(ProcessLog(), line, kMaxSentLogBytes, request.mutable_log_lines());
  *request.mutable_report() = outbox_.Take();
  const absl::StatusOr<v1::HeartbeatResponse> response = client_.Heartbeat(request);
  if (!response.ok()) outbox_.PutBack(std::move(*request.mutable_report()));
  if (absl::IsNotFound(response.status())) {
    Lost(request.worker_id());
    return response.status();
  }

  {
    absl::MutexLock lock(&mu_);
    if (response.ok()) EndRevokedLocked(*response);
    if (response.ok() && worker_id_ == request.worker_id()) sent_line_ = std::max(sent_line_, line);
    // Logged when it changes.
    if (response.ok() != unreachable_) return response.status();
    unreachable_ = !response.ok();
  }
  if (!response.ok()) {
    LogWarning(absl::StrCat(response.status().message(), "; goes on trying"));
  } else {
    LogInfo(absl::StrCat("coordinator ", client_.address(), " answers again"));
  }
  return response.status();
}

void CoordinatorSession::EndRevokedLocked(const v1::HeartbeatResponse& response) {
  for (uint64_t lease_id : response.revoked_leases()) {
    if (held_ != nullptr && held_->lease.lease_id() == lease_id) {
      held_->ended.Stop();
    } else {
      revoked_early_.push_back(lease_id);
    }
  }
}

void CoordinatorSession::Lost(uint64_t worker_id) {
  {
    absl::MutexLock lock(&mu_);
    // It may have joined again meanwhile.
    if (worker_id_ != worker_id) return;
    worker_id_ = 0;
    if (held_ != nullptr) held_->ended.Stop();
  }
  LogWarning(
      absl::StrCat("coordinator ", client_.address(), " does not know worker ", worker_id, " any more; joins again"));
}

}  // namespace samovar
