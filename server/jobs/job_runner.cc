#include "server/jobs/job_runner.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/parameters/push_counters.h"
#include "common/telemetry/log.h"
#include "server/cluster/retention.h"
#include "server/jobs/job_servers.h"
#include "server/jobs/snapshot_exporter.h"

namespace samovar {
namespace {

// How often what has no event (job_runner.h) is looked at while nothing else happens.
constexpr absl::Duration kTick = absl::Milliseconds(50);
// A call that the servers cannot answer now is repeated after this long.
constexpr absl::Duration kRetry = absl::Seconds(1);

class Runner {
 public:
  Runner(Job* job, uint64_t epoch, ClusterView* cluster, const StorageTable& storage, JobKeeper* keeper,
         const Stopper& stopper)
      : job_(*job),
        epoch_(epoch),
        cluster_(*cluster),
        keeper_(keeper),
        stopper_(stopper),
        servers_(job, epoch, cluster, storage, &stopper),
        exporter_(&job->spec(), epoch, storage) {}

  // As RunJob.
  absl::Status Run();

 private:
  // Until the job has ended.
  absl::Status Train();
  absl::Status Step();
  absl::Status BeginCheckpoint(const Checkpoint& checkpoint);
  absl::Status Freeze(uint64_t iteration) const;
  // The servers have no memory for it: the job goes on without, and if there is nothing more to do, waits for memory.
  absl::Status RefuseCheckpoint(const Checkpoint& checkpoint, const absl::Status& refusal);
  // Writes the frozen copy to the servers' disks. The job gets the errors. OK: it is durable at all servers.
  absl::Status Keep(const Checkpoint& checkpoint);
  absl::Status Persist(uint64_t iteration);
  // The last snapshot could not be written, and all else is done: writes it when it can be.
  absl::Status WriteLast();
  absl::Status EndCheckpoint();
  // One of to_thaw_.
  absl::Status Thaw();
  absl::Status Verify();
  // The ledgers of all chunks of the job; `summary` says how far they are, not whether they are complete.
  struct Held {
    std::vector<Ledger> ledgers;
    v1::LedgerSummary summary;
  };
  absl::StatusOr<Held> ReadLedgers() const;
  // As in ExchangeRequest.
  uint64_t opening() const { return servers_.placement().opening; }
  // Repeats a call that failed for a passing reason until a server is lost.
  absl::Status Insist(const std::string& what, absl::FunctionRef<absl::Status()> call) const;

  // After the loss of servers, as JobServers::Recover.
  absl::Status Recover(const absl::Status& loss);

  Job& job_;
  const uint64_t epoch_;
  ClusterView& cluster_;
  // May be null.
  JobKeeper* const keeper_;
  const Stopper& stopper_;
  JobServers servers_;
  const SnapshotExporter exporter_;
  std::optional<Checkpoint> checkpoint_;
  // Frozen copies that nobody needs any more. Opening a job releases them as well.
  std::vector<uint64_t> to_thaw_;
  // Since when the last checkpoint has been refused.
  std::optional<absl::Time> refused_since_;
  // Whether the snapshot of the checkpoint under way is durable; since when the last one could not be written.
  bool durable_ = false;
  std::optional<absl::Time> unwritten_since_;
};

absl::Status Runner::Insist(const std::string& what, absl::FunctionRef<absl::Status()> call) const {
  while (true) {
    const absl::Status status = call();
    if (!IsPassing(status)) return Annotate(status, what);
    LogWarning(absl::StrCat("job ", job_.id(), ": ", what, " failed, will be repeated: ", status.message()));
    SAMOVAR_RETURN_IF_ERROR(servers_.Check());
    if (job_.ended() || stopper_.WaitFor(kRetry)) return absl::CancelledError(what);
  }
}

absl::Status Runner::Recover(const absl::Status& loss) {
  SAMOVAR_ASSIGN_OR_RETURN(const bool anew, servers_.Recover(loss));
  if (!anew) return absl::OkStatus();
  checkpoint_.reset();
  unwritten_since_.reset();
  to_thaw_.clear();
  return absl::OkStatus();
}

absl::Status Runner::Freeze(uint64_t iteration) const {
  return Insist("freezing the weights",
                [&] { return servers_.calls().Freeze(job_.id(), epoch_, opening(), iteration); });
}

absl::Status Runner::RefuseCheckpoint(const Checkpoint& checkpoint, const absl::Status& refusal) {
  LogError(absl::StrCat("job ", job_.id(), ": checkpoint at ", checkpoint.iteration, ": ", refusal.message()));
  // Some servers may have had the memory.
  to_thaw_.push_back(checkpoint.iteration);
  job_.CheckpointRefused(checkpoint, refusal);
  if (checkpoint.iteration < job_.max_iter()) return absl::OkStatus();
  if (!refused_since_.has_value()) refused_since_ = SteadyNow();
  if (SteadyNow() - *refused_since_ > cluster_.Patience()) {
    return absl::ResourceExhaustedError(
        absl::StrCat("all iterations are done, but there was no memory for the last snapshot within ",
                     absl::FormatDuration(cluster_.Patience()), ": ", refusal.message(),
                     "; submit the job again to resume it when other jobs have ended"));
  }
  stopper_.WaitFor(kRetry);
  return absl::OkStatus();
}

absl::Status Runner::Persist(uint64_t iteration) {
  // A later coordinator has no iteration below a snapshot computed again, so it must find their display lines.
  if (keeper_ != nullptr) keeper_->SaveJobs();
  const absl::Status status = servers_.calls().Persist(job_.id(), epoch_, opening(), iteration);
  if (!status.ok()) LogError(absl::StrCat("job ", job_.id(), ": snapshot at ", iteration, ": ", status.message()));
  job_.SnapshotEnded(iteration, status);
  servers_.Retain();
  return status;
}

absl::Status Runner::Keep(const Checkpoint& checkpoint) {
  const uint64_t iteration = checkpoint.iteration;
  const absl::Status status = Persist(iteration);
  for (const std::string& directory : std::set<std::string>{job_.spec().export_snapshots(), checkpoint.export_to}) {
    if (directory.empty()) continue;
    const absl::StatusOr<std::string> exported =
        exporter_.Export(servers_.placement(), servers_.calls(), iteration, directory, KeptSnapshots(job_.spec()));
    if (!exported.ok())
      LogError(absl::StrCat("job ", job_.id(), ": snapshot at ", iteration, ": ", exported.status().message()));
    job_.ExportEnded(iteration, exported);
  }
  return status;
}

absl::Status Runner::WriteLast() {
  if (!unwritten_since_.has_value()) unwritten_since_ = SteadyNow();
  const absl::Status status = Persist(checkpoint_->iteration);
  durable_ = status.ok();
  if (status.ok()) {
    unwritten_since_.reset();
    job_.SetWait("");
    return status;
  }
  job_.SetWait(
      absl::StrCat(IsPassing(status) ? "waits for the last snapshot: " : "waits for disk: ", status.message()));
  if (SteadyNow() - *unwritten_since_ > cluster_.Patience()) {
    return absl::ResourceExhaustedError(
        absl::StrCat("all iterations are done, but the last snapshot could not be written within ",
                     absl::FormatDuration(cluster_.Patience()), ": ", status.message(),
                     "; make room there, and submit the job again to resume it from its last snapshot"));
  }
  stopper_.WaitFor(kRetry);
  // Chunks that went with a server are gone; a server that is silent is looked for before the next attempt.
  return absl::IsNotFound(status) ? status : absl::OkStatus();
}

absl::Status Runner::BeginCheckpoint(const Checkpoint& checkpoint) {
  const uint64_t iteration = checkpoint.iteration;
  absl::Status frozen = Freeze(iteration);
  if (absl::IsResourceExhausted(frozen) && keeper_ != nullptr && keeper_->FreeMemory()) frozen = Freeze(iteration);
  if (absl::IsResourceExhausted(frozen)) return RefuseCheckpoint(checkpoint, frozen);
  if (!frozen.ok()) {
    job_.CheckpointNotBegun();
    return frozen;
  }
  refused_since_.reset();
  checkpoint_ = checkpoint;
  job_.CheckpointFrozen(checkpoint, cluster_.Workers());
  durable_ = !checkpoint.persist || Keep(checkpoint).ok();
  // How late pushes come, and how far chunks are apart, for the status. Not worth an error.
  if (const absl::StatusOr<Held> held = ReadLedgers(); held.ok()) job_.TakeLedgers(held->summary);
  return absl::OkStatus();
}

absl::Status Runner::EndCheckpoint() {
  const uint64_t iteration = checkpoint_->iteration;
  if (iteration == job_.max_iter() && !durable_) return WriteLast();
  checkpoint_.reset();
  job_.CheckpointEnded();
  if (iteration == job_.max_iter()) {
    // The last copy stays in memory until the job is closed, so that clients need not read the disk.
    LogInfo(absl::StrCat("job ", job_.id(), ": done"));
    job_.End(v1::JOB_STATE_SUCCEEDED, "", SteadyNow());
    return absl::OkStatus();
  }
  to_thaw_.push_back(iteration);
  return absl::OkStatus();
}

absl::Status Runner::Thaw() {
  const uint64_t iteration = to_thaw_.back();
  SAMOVAR_RETURN_IF_ERROR(Insist("releasing the frozen weights",
                                 [&] { return servers_.calls().Thaw(job_.id(), epoch_, opening(), iteration); }));
  to_thaw_.pop_back();
  return absl::OkStatus();
}

absl::StatusOr<Runner::Held> Runner::ReadLedgers() const {
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<v1::GetLedgersResponse> responses, servers_.calls().GetLedgers(job_.id()));
  Held held;
  uint64_t watermark = job_.max_iter();
  uint64_t beyond = 0;
  for (const v1::GetLedgersResponse& response : responses) {
    for (const v1::ChunkLedger& chunk : response.ledgers()) {
      SAMOVAR_ASSIGN_OR_RETURN(Ledger ledger, Ledger::FromProto(chunk.ledger()));
      watermark = std::min(watermark, ledger.watermark());
      beyond = std::max(beyond, ledger.size() - ledger.watermark());
      held.ledgers.push_back(std::move(ledger));
    }
    AddCounters(response.counters(), held.summary.mutable_counters());
  }
  held.summary.set_watermark(watermark);
  held.summary.set_beyond(beyond);
  return held;
}

absl::Status Runner::Verify() {
  Held all;
  SAMOVAR_RETURN_IF_ERROR(Insist("reading the ledgers", [&]() -> absl::Status {
    SAMOVAR_ASSIGN_OR_RETURN(all, ReadLedgers());
    return absl::OkStatus();
  }));
  const std::vector<Ledger>& ledgers = all.ledgers;
  v1::LedgerSummary& summary = all.summary;
  Ledger whole;
  whole.AddRange(0, job_.max_iter());
  summary.set_chunks(static_cast<uint32_t>(ledgers.size()));
  summary.set_iterations(job_.max_iter());
  summary.set_complete_chunks(static_cast<uint32_t>(std::count(ledgers.begin(), ledgers.end(), whole)));
  const Ledger held = HeldByAll(ledgers, job_.max_iter());
  if (held.size() < job_.max_iter()) {
    LogWarning(absl::StrCat("job ", job_.id(), ": ", job_.max_iter() - held.size(),
                            " iterations are missing in some chunk and are leased again"));
  }
  job_.Verified(held, summary);
  return absl::OkStatus();
}

absl::Status Runner::Step() {
  if (!to_thaw_.empty()) return Thaw();
  if (job_.AwaitsVerification()) return Verify();
  if (checkpoint_.has_value() && job_.TestsDone()) return EndCheckpoint();
  if (const auto checkpoint = job_.TakeCheckpoint()) return BeginCheckpoint(*checkpoint);
  job_.ReviewHold(SteadyNow());
  job_.AwaitWork(kTick);
  return absl::OkStatus();
}

absl::Status Runner::Train() {
  while (!job_.ended()) {
    if (stopper_.stopped()) return absl::CancelledError("the coordinator is stopping");
    absl::Status status = servers_.Check();
    if (status.ok()) status = Step();
    if (status.ok()) continue;
    if (!IsLoss(status)) return status;
    SAMOVAR_RETURN_IF_ERROR(Recover(status));
  }
  return absl::OkStatus();
}

absl::Status Runner::Run() {
  absl::Status status = servers_.Begin();
  if (status.ok()) status = Train();
  if (status.ok() || job_.ended()) return absl::OkStatus();
  if (stopper_.stopped()) return absl::CancelledError("the coordinator is stopping");
  if (absl::IsResourceExhausted(status) && !job_.running()) return status;
  // Servers refuse the calls of this one then.
  if (keeper_ != nullptr && keeper_->IsReplaced()) return absl::CancelledError(status.message());
  LogError(absl::StrCat("job ", job_.id(), " FAILED: ", status.message()));
  job_.End(v1::JOB_STATE_FAILED, std::string(status.message()), SteadyNow());
  return absl::OkStatus();
}

}  // namespace

absl::Status RunJob(Job* job, uint64_t epoch, ClusterView* cluster, const StorageTable& storage, JobKeeper* keeper,
                    const Stopper& stopper) {
  return Runner(job, epoch, cluster, storage, keeper, stopper).Run();
}

}  // namespace samovar
