#include "server/jobs/snapshot_cleaner.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/exceptions.h"
#include "common/base/status_macros.h"
#include "common/telemetry/guarded_turn.h"
#include "common/telemetry/log.h"
#include "server/cluster/parameter_servers.h"

namespace samovar {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(250);
constexpr absl::Duration kRetry = absl::Seconds(5);

}  // namespace

SnapshotCleaner::~SnapshotCleaner() { Stop(); }

void SnapshotCleaner::Start() {
  thread_ = std::thread([this] { Run(); });
}

void SnapshotCleaner::Stop() {
  stopper_.Stop();
  if (thread_.joinable()) thread_.join();
}

void SnapshotCleaner::Forget(const std::string& job_id) {
  absl::MutexLock lock(&mu_);
  forgotten_[job_id] = ++last_;
}

void SnapshotCleaner::Keep(const std::string& job_id) {
  absl::MutexLock lock(&mu_);
  forgotten_.erase(job_id);
}

bool SnapshotCleaner::Cleans(const std::string& job_id) const {
  absl::MutexLock lock(&mu_);
  return cleaning_ == job_id;
}

bool SnapshotCleaner::Claim(const std::string& job_id, uint64_t after) {
  absl::MutexLock lock(&mu_);
  const auto found = forgotten_.find(job_id);
  if (found == forgotten_.end() || found->second <= after) return false;
  cleaning_ = job_id;
  return true;
}

void SnapshotCleaner::Release() {
  {
    absl::MutexLock lock(&mu_);
    if (cleaning_.empty()) return;
    cleaning_.clear();
  }
  if (released_) released_();
}

void SnapshotCleaner::Run() {
  while (!stopper_.WaitFor(kTick)) RunTurn("the cleaner of snapshots", [this] { CleanAll(); });
}

void SnapshotCleaner::CleanAll() {
  uint64_t last = 0;
  {
    absl::MutexLock lock(&mu_);
    last = last_;
  }
  if (last == 0) return;
  for (const Membership::Server& server : LiveServers(cluster_)) {
    const v1::RegisterServerRequest& registration = server.registration;
    Cleaned& cleaned = servers_[{registration.identity(), registration.identity() == 0 ? registration.address() : ""}];
    if (cleaned.up_to == last || SteadyNow() < cleaned.retry_at) continue;
    const absl::Status status = CatchExceptions([&] { return Clean(server, cleaned.up_to); });
    // Clean may have been left by an exception.
    Release();
    if (stopper_.stopped()) return;
    if (status.ok()) {
      cleaned.up_to = last;
    } else {
      cleaned.retry_at = SteadyNow() + kRetry;
      LogWarning(
          absl::StrCat("snapshots of forgotten jobs could not be removed, which is tried again: ", status.message()));
    }
  }
}

absl::Status SnapshotCleaner::Clean(const Membership::Server& server, uint64_t after) {
  const ParameterServers one({server.registration.address()}, &cluster_.Channels(), &stopper_);
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<v1::ListSnapshotsResponse> lists, one.ListSnapshots(""));
  std::set<std::string> names;
  for (const v1::SnapshotInfo& info : lists[0].snapshots()) names.insert(info.job_id());
  for (const v1::SnapshotInfo& info : lists[0].last_shares()) names.insert(info.job_id());
  absl::Status first;
  for (const std::string& name : names) {
    if (!Claim(name, after)) continue;
    // It may be in the server's memory still.
    absl::Status status = one.CloseJob(name, epoch_, cluster_.NextOpening());
    if (status.ok()) status = one.RetainSnapshots(name, epoch_, /*opening=*/0, {});
    Release();
    if (first.ok()) first = Annotate(status, absl::StrCat("job ", name));
    if (stopper_.stopped()) break;
    if (status.ok()) {
      LogInfo(absl::StrCat("job ", name, " was forgotten: server ", server.registration.address(),
                           " has removed its snapshots"));
    }
  }
  return first;
}

}  // namespace samovar
