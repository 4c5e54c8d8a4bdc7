// The snapshots of a job once they are taken: those that there are, those that its client has yet to fetch, and those
// that users ask for.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/clock.h"
#include "server/jobs/job.h"

namespace samovar {
namespace {

template <typename Wanted>
void KeepIf(google::protobuf::RepeatedField<uint64_t>* iterations, const Wanted& wanted) {
  iterations->erase(
      std::remove_if(iterations->begin(), iterations->end(), [&](uint64_t iteration) { return !wanted(iteration); }),
      iterations->end());
}

// Keeps them in order, each once.
void Insert(uint64_t iteration, google::protobuf::RepeatedField<uint64_t>* iterations) {
  const auto place = std::lower_bound(iterations->begin(), iterations->end(), iteration);
  if (place != iterations->end() && *place == iteration) return;
  const auto index = place - iterations->begin();
  iterations->Add(iteration);
  std::rotate(iterations->begin() + index, iterations->end() - 1, iterations->end());
}

// Its entry, made if there is none.
v1::SnapshotStatus* DetailOf(uint64_t iteration, v1::JobStatus* figures) {
  auto* const details = figures->mutable_snapshot_details();
  for (v1::SnapshotStatus& detail : *details) {
    if (detail.iteration() == iteration) return &detail;
  }
  v1::SnapshotStatus* const detail = details->Add();
  detail->set_iteration(iteration);
  return detail;
}

}  // namespace

void Job::TakeOverSnapshots(const v1::JobStatus& earlier) {
  absl::MutexLock lock(&mu_);
  *figures_.mutable_snapshots() = earlier.snapshots();
  *figures_.mutable_snapshot_details() = earlier.snapshot_details();
  figures_.set_exported_snapshot(earlier.exported_snapshot());
}

void Job::SnapshotFailed(uint64_t iteration, const absl::Status& status) {
  const std::string error = absl::StrCat("snapshot at iteration ", iteration, ": ", status.message());
  // The last one is tried again and again.
  if (error == figures_.snapshot_error()) return;
  figures_.set_snapshot_error(error);
  figures_.set_failed_snapshot(iteration);
  Note(v1::JobEvent::KIND_SNAPSHOT,
       absl::StrCat(error, iteration == max_iter() ? "; it is tried again" : "; training goes on"));
}

void Job::SnapshotEnded(uint64_t iteration, const absl::Status& status) {
  absl::MutexLock lock(&mu_);
  if (status.ok()) {
    // A user may have asked for the same once more, to be exported.
    Insert(iteration, figures_.mutable_snapshots());
    if (hold_.holds()) Insert(iteration, figures_.mutable_unfetched_snapshots());
    DetailOf(iteration, &figures_)->set_unix_ms(UnixMsNow());
    figures_.clear_snapshot_error();
    if (leases_ != nullptr) UpdateLimit();
    Note(v1::JobEvent::KIND_SNAPSHOT, absl::StrCat("snapshot at iteration ", iteration));
  } else {
    SnapshotFailed(iteration, status);
  }
}

void Job::ExportEnded(uint64_t iteration, const absl::StatusOr<std::string>& exported) {
  absl::MutexLock lock(&mu_);
  if (exported.ok()) {
    figures_.set_exported_snapshot(*exported);
    DetailOf(iteration, &figures_)->set_exported_to(*exported);
    figures_.clear_export_error();
    Note(v1::JobEvent::KIND_SNAPSHOT,
         absl::StrCat("snapshot at iteration ", iteration, " was exported to ", *exported));
  } else {
    figures_.set_export_error(absl::StrCat("snapshot at iteration ", iteration, ": ", exported.status().message()));
    figures_.set_failed_export(iteration);
    Note(v1::JobEvent::KIND_SNAPSHOT, absl::StrCat(figures_.export_error(), "; training goes on"));
  }
}

void Job::SnapshotsFound(const std::set<uint64_t>& found) {
  absl::MutexLock lock(&mu_);
  if (leases_ == nullptr) return;
  const std::set<uint64_t> listed(figures_.snapshots().begin(), figures_.snapshots().end());
  for (uint64_t iteration : found) {
    if (iteration > leases_->done().watermark() || listed.contains(iteration)) continue;
    Insert(iteration, figures_.mutable_snapshots());
    if (hold_.holds()) Insert(iteration, figures_.mutable_unfetched_snapshots());
    Note(v1::JobEvent::KIND_SNAPSHOT, absl::StrCat("snapshot at iteration ", iteration));
  }
  UpdateLimit();
}

void Job::SnapshotsHeld(const std::set<uint64_t>& held) {
  absl::MutexLock lock(&mu_);
  const int before = figures_.snapshots_size();
  KeepIf(figures_.mutable_snapshots(), [&](uint64_t iteration) { return held.contains(iteration); });
  KeepIf(figures_.mutable_unfetched_snapshots(), [&](uint64_t iteration) { return held.contains(iteration); });
  auto* const details = figures_.mutable_snapshot_details();
  details->erase(std::remove_if(details->begin(), details->end(),
                                [&](const v1::SnapshotStatus& detail) { return !held.contains(detail.iteration()); }),
                 details->end());
  if (figures_.snapshots_size() != before) Changed();
}

void Job::Acknowledge(const std::set<uint64_t>& fetched) {
  absl::MutexLock lock(&mu_);
  KeepIf(figures_.mutable_unfetched_snapshots(), [&](uint64_t iteration) { return !fetched.contains(iteration); });
  hold_.Fetched();
  if (leases_ != nullptr) UpdateLimit();
  Changed();
}

std::set<uint64_t> Job::unfetched() const {
  absl::MutexLock lock(&mu_);
  return {figures_.unfetched_snapshots().begin(), figures_.unfetched_snapshots().end()};
}

bool Job::IsHeldBack(const Checkpoint& due) const {
  return due.persist && due.iteration < max_iter() && ClientHold::IsFull(figures_.unfetched_snapshots_size());
}

std::string Job::HeldBackText() const {
  const uint64_t stop_at = checkpoints_.stop_at();
  if (state_ == v1::JOB_STATE_RUNNING && leases_->done().watermark() >= stop_at && stop_at < max_iter()) {
    return absl::StrCat("goes no further than iteration ", stop_at,
                        ", of which a last snapshot was asked for: cancel the job, and resume it");
  }
  const std::optional<Checkpoint> due = DueCheckpoint();
  if (!due.has_value() || !IsHeldBack(*due)) return "";
  return absl::StrCat("waits until its client has fetched the snapshots of iterations ",
                      absl::StrJoin(figures_.unfetched_snapshots(), ", "));
}

void Job::ReviewHold(absl::Time now) {
  absl::MutexLock lock(&mu_);
  const std::optional<Checkpoint> due = DueCheckpoint();
  if (!hold_.GivesUp(due.has_value() && IsHeldBack(*due), now)) return;
  AddNoticeLocked(absl::StrCat("its client has fetched no snapshot for ", absl::FormatDuration(ClientHold::kPatience),
                               "; those of iterations ", absl::StrJoin(figures_.unfetched_snapshots(), ", "),
                               " are no longer held for it, and training goes on"));
  figures_.clear_unfetched_snapshots();
  UpdateLimit();
}

void Job::SetWait(const std::string& cause) {
  absl::MutexLock lock(&mu_);
  if (state_ != v1::JOB_STATE_RUNNING || suspended_ || cause == cause_) return;
  cause_ = cause;
  if (!cause.empty()) Note(v1::JobEvent::KIND_SNAPSHOT, cause);
  Changed();
}

absl::StatusOr<uint64_t> Job::RequestSnapshot(const std::string& export_to, bool last) {
  absl::MutexLock lock(&mu_);
  if (state_ != v1::JOB_STATE_RUNNING) {
    return absl::FailedPreconditionError(
        absl::StrCat("job \"", id(), "\" is ", StateName(state_), ", it does not run"));
  }
  Checkpoints::Progress progress = {leases_->done().watermark(), leased_end_, std::nullopt};
  if (figures_.snapshots_size() > 0) progress.newest = *figures_.snapshots().rbegin();
  const absl::StatusOr<Checkpoints::Answer> answer = checkpoints_.Request(export_to, last, progress);
  if (!answer.ok()) {
    return absl::Status(answer.status().code(), absl::StrCat("job \"", id(), "\" ", answer.status().message()));
  }
  if (!export_to.empty()) figures_.clear_export_error();
  UpdateLimit();
  if (answer->added) {
    Note(v1::JobEvent::KIND_SNAPSHOT, absl::StrCat("a user asks for a ", last ? "last " : "",
                                                   "snapshot: it will be of iteration ", answer->iteration));
  }
  return answer->iteration;
}

}  // namespace samovar
