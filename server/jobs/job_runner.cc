#include "server/jobs/job_runner.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/model/consistency.h"
#include "common/parameters/push_counters.h"
#include "common/telemetry/log.h"
#include "server/cluster/parameter_servers.h"
#include "server/cluster/retention.h"
#include "server/jobs/job_opener.h"
#include "server/jobs/snapshot_exporter.h"

namespace samovar {
namespace {

// How often silence and the stopper are looked at while nothing else happens.
constexpr absl::Duration kTick = absl::Milliseconds(50);
// A call that the servers cannot answer now is repeated after this long.
constexpr absl::Duration kRetry = absl::Seconds(1);
// Servers register again within this time after their coordinator was restarted.
constexpr absl::Duration kSettle = absl::Seconds(6);

// Whether the same call may succeed later: the server is not there, or was ended while it answered.
bool IsPassing(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
      return true;
    default:
      return false;
  }
}

// Whether chunks of the job have gone with a server: it is not there, or does not know the job any more.
bool IsLoss(const absl::Status& status) { return IsPassing(status) || absl::IsNotFound(status); }

// How far the servers' chunks are apart.
uint64_t SpreadOf(const std::vector<Ledger>& ledgers) {
  const auto [low, high] = std::minmax_element(
      ledgers.begin(), ledgers.end(), [](const Ledger& a, const Ledger& b) { return a.watermark() < b.watermark(); });
  return high->watermark() - low->watermark();
}

class Runner {
 public:
  Runner(Job* job, uint64_t epoch, ClusterView* cluster, const StorageTable& storage, JobKeeper* keeper,
         const Stopper& stopper)
      : job_(*job),
        epoch_(epoch),
        cluster_(*cluster),
        keeper_(keeper),
        stopper_(stopper),
        opener_(job->spec(), epoch, &cluster->Channels(), &stopper),
        exporter_(&job->spec(), epoch, storage) {}

  // As RunJob.
  absl::Status Run();

 private:
  // Until the job runs.
  absl::Status Begin();
  absl::Status TryToBegin(absl::Time began);
  absl::StatusOr<JobOpener::Opened> OpenAgain(Placement* placement);
  // As JobOpener::Open, as a new opening if iterations may be gone with it.
  absl::StatusOr<JobOpener::Opened> Open(Placement* placement, JobOpener::Begin begin);

  // Until the job has ended.
  absl::Status Train();
  absl::Status Step();
  absl::Status BeginCheckpoint(const Checkpoint& checkpoint);
  absl::Status Freeze(uint64_t iteration) const;
  // The servers have no memory for it: the job goes on without, and if there is nothing more to do, waits for memory.
  absl::Status RefuseCheckpoint(const Checkpoint& checkpoint, const absl::Status& refusal);
  // Writes what is frozen where it is to be kept. What fails, the job is told. OK: it is durable at all servers.
  absl::Status Keep(const Checkpoint& checkpoint);
  absl::Status Persist(uint64_t iteration);
  // Has the servers remove the snapshots that nobody needs, and tells the job which ones there are.
  void Retain();
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
  // UNAVAILABLE: a server that has chunks of the job is silent, or was restarted.
  absl::Status CheckServers() const;
  // Repeats a call that failed for a passing reason until a server is lost.
  absl::Status Insist(const std::string& what, absl::FunctionRef<absl::Status()> call) const;

  // After the loss of servers: until all are back and have their shares again, or until patience ends.
  absl::Status Recover(const absl::Status& loss);
  absl::Status TryToRecover(const absl::Status& loss);

  Job::Plan PlanFor(const Placement& placement, const std::vector<Ledger>& ledgers) const;
  void Notice(const std::string& text);

  bool KeepsTogether() const { return GoesBackTogether(job_.spec().consistency()); }

  Job& job_;
  const uint64_t epoch_;
  ClusterView& cluster_;
  // May be null.
  JobKeeper* const keeper_;
  const Stopper& stopper_;
  JobOpener opener_;
  const SnapshotExporter exporter_;
  Placement placement_;
  std::unique_ptr<ParameterServers> servers_;
  std::optional<Checkpoint> checkpoint_;
  // Frozen copies that nobody needs any more. Opening a job releases them as well.
  std::vector<uint64_t> to_thaw_;
  // Since when the last checkpoint has been refused.
  std::optional<absl::Time> refused_since_;
  // Whether the snapshot of the checkpoint under way is durable; since when the last one could not be written.
  bool durable_ = false;
  std::optional<absl::Time> unwritten_since_;
};

absl::Status Runner::Begin() {
  const absl::Time began = SteadyNow();
  job_.SetCause("its servers are asked to hold it");
  while (!stopper_.stopped() && !job_.ended()) {
    const absl::Status status = TryToBegin(began);
    if (!IsPassing(status)) return status;
    // A job that never ran waits for servers for as long as it takes.
    if (job_.recovered() && SteadyNow() - began > cluster_.Patience()) {
      return absl::UnavailableError(
          absl::StrCat(status.message(), " within ", absl::FormatDuration(cluster_.Patience()),
                       "; restart it with its state directory, and submit the job again to resume it"));
    }
    job_.SetCause(std::string(status.message()));
    stopper_.WaitFor(kTick);
  }
  return absl::CancelledError("the coordinator is stopping");
}

absl::Status Runner::TryToBegin(absl::Time began) {
  const v1::JobSpec& spec = job_.spec();
  // A resumed job needs the very servers that hold its snapshots, which may be any of those registered.
  const std::vector<Membership::Server> heard = LiveServers(cluster_);
  if (heard.size() < spec.servers()) {
    return absl::UnavailableError(
        absl::StrCat("waits for servers: ", heard.size(), " of ", spec.servers(), " have registered"));
  }
  JobOpener::Opened opened;
  if (job_.recovered()) {
    SAMOVAR_ASSIGN_OR_RETURN(const std::vector<HeldShare> shares, opener_.Ask(heard));
    SAMOVAR_ASSIGN_OR_RETURN(placement_, opener_.PlaceAgain(shares, /*fill_up=*/SteadyNow() - began > kSettle));
    SAMOVAR_ASSIGN_OR_RETURN(opened, OpenAgain(&placement_));
  } else if (spec.resume()) {
    SAMOVAR_ASSIGN_OR_RETURN(const std::vector<HeldShare> shares, opener_.Ask(heard));
    SAMOVAR_ASSIGN_OR_RETURN(placement_, opener_.PlaceByNewestSnapshot(shares));
    SAMOVAR_ASSIGN_OR_RETURN(opened, Open(&placement_, JobOpener::Begin::kTogether));
  } else {
    placement_ = opener_.PlaceAnew(heard);
    SAMOVAR_ASSIGN_OR_RETURN(opened, Open(&placement_, JobOpener::Begin::kAnew));
  }
  servers_ = std::make_unique<ParameterServers>(AddressesOf(placement_.servers), &cluster_.Channels(), &stopper_);
  Job::Plan plan = PlanFor(placement_, opened.ledgers);
  // A job that begins from a solver's state holds all iterations before it.
  plan.resumed_from = opened.restored.value_or(plan.done.watermark());
  LogInfo(absl::StrCat("job ", job_.id(), ": ", opened.ledgers.size(), " chunks of ", placement_.chunk_elements,
                       " floats at ", absl::StrJoin(plan.servers, ", "), "; ", job_.max_iter() - plan.done.size(),
                       " iterations to do",
                       opened.restored.has_value() ? absl::StrCat(", from snapshot ", *opened.restored) : ""));
  job_.Start(std::move(plan), SteadyNow());
  for (const std::string& notice : opened.notices) Notice(notice);
  if (job_.recovered()) Retain();
  if (job_.recovered()) Notice(absl::StrCat("the coordinator was restarted, as epoch ", epoch_, "; the job goes on"));
  return absl::OkStatus();
}

absl::StatusOr<JobOpener::Opened> Runner::OpenAgain(Placement* placement) {
  if (!KeepsTogether()) return Open(placement, JobOpener::Begin::kEachWithItsOwn);
  SAMOVAR_ASSIGN_OR_RETURN(const bool open, opener_.IsOpenAtAll(*placement));
  if (!open) return Open(placement, JobOpener::Begin::kTogether);
  SAMOVAR_ASSIGN_OR_RETURN(JobOpener::Opened opened, Open(placement, JobOpener::Begin::kEachWithItsOwn));
  // The coordinator may have been lost while the servers went back: further apart than training takes chunks where
  // iterations are applied in order.
  if (InOrder(job_.spec().consistency()) && SpreadOf(opened.ledgers) > 1)
    return Open(placement, JobOpener::Begin::kTogether);
  return opened;
}

absl::StatusOr<JobOpener::Opened> Runner::Open(Placement* placement, JobOpener::Begin begin) {
  // What was pushed before must not arrive after servers have gone back. Where each goes on with what it has, ledgers
  // tell all, and pushes need only be told from those of another run of this name.
  if (KeepsTogether() || placement->opening == 0) placement->opening = cluster_.NextOpening();
  return opener_.Open(*placement, begin);
}

Job::Plan Runner::PlanFor(const Placement& placement, const std::vector<Ledger>& ledgers) const {
  Job::Plan plan;
  plan.epoch = epoch_;
  plan.chunk_elements = placement.chunk_elements;
  plan.servers = AddressesOf(placement.servers);
  for (const Membership::Server& server : placement.servers)
    plan.incarnations.push_back(server.registration.incarnation());
  plan.opening = placement.opening;
  plan.done = HeldByAll(ledgers, job_.max_iter());
  return plan;
}

void Runner::Notice(const std::string& text) {
  LogWarning(absl::StrCat("job ", job_.id(), ": ", text));
  job_.AddNotice(text);
}

absl::Status Runner::CheckServers() const {
  const std::vector<Membership::Server> now = cluster_.Servers();
  for (const Membership::Server& placed : placement_.servers) {
    const Membership::Server* const found = Membership::FindSuccessor(now, placed.registration);
    const std::string gone = absl::StrCat("server ", AddressOf(placed));
    if (found == nullptr) return absl::UnavailableError(absl::StrCat(gone, " is gone"));
    const absl::Duration silent = SteadyNow() - found->heard;
    if (silent > Membership::kServerTimeout) {
      return absl::UnavailableError(absl::StrCat(gone, " is gone since ", absl::ToInt64Seconds(silent),
                                                 " s; waiting for it: restart it with its state directory"));
    }
    if (found->registration.incarnation() != placed.registration.incarnation()) {
      return absl::UnavailableError(absl::StrCat(gone, " was restarted; its share of the model is being restored"));
    }
  }
  return absl::OkStatus();
}

absl::Status Runner::Insist(const std::string& what, absl::FunctionRef<absl::Status()> call) const {
  while (true) {
    const absl::Status status = call();
    if (!IsPassing(status)) return Annotate(status, what);
    LogWarning(absl::StrCat("job ", job_.id(), ": ", what, " failed, will be repeated: ", status.message()));
    SAMOVAR_RETURN_IF_ERROR(CheckServers());
    if (job_.ended() || stopper_.WaitFor(kRetry)) return absl::CancelledError(what);
  }
}

absl::Status Runner::Recover(const absl::Status& loss) {
  LogWarning(absl::StrCat("job ", job_.id(), ": ", loss.message()));
  const absl::Time began = SteadyNow();
  while (!job_.ended() && !stopper_.stopped()) {
    const absl::Status status = TryToRecover(loss);
    if (!IsPassing(status)) return status;
    if (SteadyNow() - began > cluster_.Patience()) {
      return absl::UnavailableError(
          absl::StrCat(status.message(), "; given up after ", absl::FormatDuration(cluster_.Patience()),
                       ": submit the job again to resume it from its last snapshot when its servers are back"));
    }
    job_.Suspend(std::string(status.message()));
    stopper_.WaitFor(kTick);
  }
  return absl::CancelledError("the coordinator is stopping");
}

absl::Status Runner::TryToRecover(const absl::Status& loss) {
  const absl::Status state = CheckServers();
  // Silent and back, with all that it had.
  if (state.ok() && !absl::IsNotFound(loss)) {
    job_.Resume();
    return absl::OkStatus();
  }
  const std::vector<Membership::Server> heard = LiveServers(cluster_);
  Placement placement = placement_;
  std::vector<std::string> restarted;
  for (Membership::Server& server : placement.servers) {
    const Membership::Server* const found = Membership::FindSuccessor(heard, server.registration);
    if (found == nullptr) return state;
    if (found->registration.incarnation() != server.registration.incarnation()) restarted.push_back(AddressOf(*found));
    server = *found;
  }
  job_.Suspend(std::string(state.ok() ? loss.message() : state.message()));
  const auto begin = KeepsTogether() ? JobOpener::Begin::kTogether : JobOpener::Begin::kEachWithItsOwn;
  SAMOVAR_ASSIGN_OR_RETURN(const JobOpener::Opened opened, Open(&placement, begin));
  placement_ = std::move(placement);
  servers_ = std::make_unique<ParameterServers>(AddressesOf(placement_.servers), &cluster_.Channels(), &stopper_);
  checkpoint_.reset();
  unwritten_since_.reset();
  to_thaw_.clear();
  const uint64_t repeated_before = job_.Status(SteadyNow()).repeated_iterations();
  job_.Recovered(PlanFor(placement_, opened.ledgers));
  for (const std::string& notice : opened.notices) Notice(notice);
  const std::string back =
      opened.restored.has_value() ? absl::StrCat("to snapshot ", *opened.restored) : "to the beginning";
  const std::string lost = restarted.empty()
                               ? std::string(loss.message())
                               : absl::StrCat("server ", absl::StrJoin(restarted, ", "), " was restarted");
  Notice(absl::StrCat(lost, "; ", KeepsTogether() ? absl::StrCat("all servers have gone back ", back, "; ") : "",
                      job_.Status(SteadyNow()).repeated_iterations() - repeated_before,
                      " iterations are computed again"));
  Retain();
  return absl::OkStatus();
}

absl::Status Runner::Freeze(uint64_t iteration) const {
  return Insist("freezing the weights",
                [&] { return servers_->Freeze(job_.id(), epoch_, placement_.opening, iteration); });
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

void Runner::Retain() {
  const absl::StatusOr<std::vector<HeldShare>> shares = opener_.Ask(placement_.servers);
  if (!shares.ok()) {
    LogWarning(absl::StrCat("job ", job_.id(),
                            ": its snapshots could not be listed, and all stay: ", shares.status().message()));
    return;
  }
  std::vector<std::vector<v1::SnapshotInfo>> held;
  for (const HeldShare& one : *shares) held.push_back(one.snapshots);
  std::set<uint64_t> there = CompleteSnapshots(held, placement_.run);
  job_.SnapshotsFound(there);
  const std::set<SnapshotId> keep =
      SnapshotsToKeep(held, {placement_.run, KeptSnapshots(job_.spec()), job_.unfetched()});
  if (const absl::Status removed = servers_->RetainSnapshots(job_.id(), epoch_, placement_.opening, keep);
      !removed.ok()) {
    LogWarning(absl::StrCat("job ", job_.id(), ": old snapshots could not be removed: ", removed.message()));
  }
  std::erase_if(there, [&](uint64_t iteration) { return !keep.contains({placement_.run, iteration}); });
  job_.SnapshotsHeld(there);
}

absl::Status Runner::Persist(uint64_t iteration) {
  // A later coordinator has no iteration below a snapshot computed again, so it must find what was to be shown of them.
  if (keeper_ != nullptr) keeper_->SaveJobs();
  const absl::Status status = servers_->Persist(job_.id(), epoch_, placement_.opening, iteration);
  if (!status.ok()) LogError(absl::StrCat("job ", job_.id(), ": snapshot at ", iteration, ": ", status.message()));
  job_.SnapshotEnded(iteration, status);
  Retain();
  return status;
}

absl::Status Runner::Keep(const Checkpoint& checkpoint) {
  const uint64_t iteration = checkpoint.iteration;
  const absl::Status status = Persist(iteration);
  for (const std::string& directory : std::set<std::string>{job_.spec().export_snapshots(), checkpoint.export_to}) {
    if (directory.empty()) continue;
    const absl::StatusOr<std::string> exported =
        exporter_.Export(placement_, *servers_, iteration, directory, KeptSnapshots(job_.spec()));
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
                                 [&] { return servers_->Thaw(job_.id(), epoch_, placement_.opening, iteration); }));
  to_thaw_.pop_back();
  return absl::OkStatus();
}

absl::StatusOr<Runner::Held> Runner::ReadLedgers() const {
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<v1::GetLedgersResponse> responses, servers_->GetLedgers(job_.id()));
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
    absl::Status status = CheckServers();
    if (status.ok()) status = Step();
    if (status.ok()) continue;
    if (!IsLoss(status)) return status;
    SAMOVAR_RETURN_IF_ERROR(Recover(status));
  }
  return absl::OkStatus();
}

absl::Status Runner::Run() {
  absl::Status status = Begin();
  if (status.ok()) status = Train();
  if (status.ok() || job_.ended()) return absl::OkStatus();
  if (stopper_.stopped()) return absl::CancelledError("the coordinator is stopping");
  if (absl::IsResourceExhausted(status) && !job_.running()) return status;
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
