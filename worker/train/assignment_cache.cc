#include "worker/train/assignment_cache.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/telemetry/log.h"

namespace samovar {

absl::StatusOr<Assignment*> AssignmentCache::Get(const v1::GetAssignmentResponse& message, absl::Time now) {
  const auto found =
      std::find_if(open_.begin(), open_.end(), [&](const Entry& entry) { return entry.assignment->IsFor(message); });
  if (found != open_.end()) {
    open_.splice(open_.begin(), open_, found);
    open_.front().used = now;
    while (now - open_.back().used > kIdle) open_.pop_back();
    return open_.front().assignment.get();
  }
  Close(message.spec().job_id());
  // Room is made first, so that no more are in memory at any time.
  while (open_.size() >= kMaxOpen) open_.pop_back();
  SAMOVAR_ASSIGN_OR_RETURN(std::unique_ptr<Assignment> assignment, Assignment::Create(message, means_));
  LogInfo(absl::StrCat("works for job ", message.spec().job_id(), ": ", assignment->net().layout().elements(),
                       " parameters on ", message.servers_size(), " servers"));
  if (kept_.has_value()) assignment->AdoptKept(*std::exchange(kept_, std::nullopt));
  open_.push_front({std::move(assignment), now});
  return open_.front().assignment.get();
}

void AssignmentCache::Close(const std::string& job_id) {
  for (Entry& entry : open_) {
    if (entry.assignment->spec().job_id() == job_id) kept_ = entry.assignment->ReleaseKept();
  }
  open_.remove_if([&](const Entry& entry) { return entry.assignment->spec().job_id() == job_id; });
}

void AssignmentCache::Drop(const std::string& job_id) {
  kept_.reset();
  open_.remove_if([&](const Entry& entry) { return entry.assignment->spec().job_id() == job_id; });
}

}  // namespace samovar
