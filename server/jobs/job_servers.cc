#include "server/jobs/job_servers.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/model/consistency.h"
#include "common/telemetry/log.h"
#include "server/cluster/retention.h"

namespace samovar {
namespace {

// How often servers that are waited for are looked for.
constexpr absl::Duration kTick = absl::Milliseconds(50);
// Servers register again within this time after their coordinator was restarted.
constexpr absl::Duration kSettle = absl::Seconds(6);

// How far the servers' chunks are apart.
uint64_t SpreadOf(const std::vector<Ledger>& ledgers) {
  const auto [low, high] = std::minmax_element(
      ledgers.begin(), ledgers.end(), [](const Ledger& a, const Ledger& b) { return a.watermark() < b.watermark(); });
  return high->watermark() - low->watermark();
}

}  // namespace

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

bool IsLoss(const absl::Status& status) { return IsPassing(status) || absl::IsNotFound(status); }

JobServers::JobServers(Job* job, uint64_t epoch, ClusterView* cluster, const StorageTable& storage,
                       const Stopper* stopper)
    : job_(*job),
      epoch_(epoch),
      cluster_(*cluster),
      stopper_(*stopper),
      opener_(job->spec(), epoch, &cluster->Channels(), storage, stopper) {}

bool JobServers::KeepsTogether() const { return GoesBackTogether(job_.spec().consistency()); }

absl::Status JobServers::Begin() {
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

absl::Status JobServers::TryToBegin(absl::Time began) {
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
    SAMOVAR_ASSIGN_OR_RETURN(JobOpener::Resumption from,
                             opener_.PlaceByNewestSnapshot(shares, /*fill_up=*/SteadyNow() - began > kSettle));
    placement_ = std::move(from.placement);
    const bool together = KeepsTogether() || !from.share_is_lost;
    SAMOVAR_ASSIGN_OR_RETURN(
        opened, Open(&placement_, together ? JobOpener::Begin::kTogether : JobOpener::Begin::kEachWithItsSnapshot));
  } else {
    placement_ = opener_.PlaceAnew(heard);
    SAMOVAR_ASSIGN_OR_RETURN(opened, Open(&placement_, JobOpener::Begin::kAnew));
  }
  calls_ = std::make_unique<ParameterServers>(AddressesOf(placement_.servers), &cluster_.Channels(), &stopper_);
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

absl::StatusOr<JobOpener::Opened> JobServers::OpenAgain(Placement* placement) {
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

absl::StatusOr<JobOpener::Opened> JobServers::Open(Placement* placement, JobOpener::Begin begin) {
  // Pushes from before must not arrive after servers have gone back. Where each server goes on from its own state,
  // ledgers suffice, and pushes need only be told from those of another run of this name.
  if (KeepsTogether() || placement->opening == 0) placement->opening = cluster_.NextOpening();
  return opener_.Open(*placement, begin);
}

Job::Plan JobServers::PlanFor(const Placement& placement, const std::vector<Ledger>& ledgers) const {
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

void JobServers::Notice(const std::string& text) {
  LogWarning(absl::StrCat("job ", job_.id(), ": ", text));
  job_.AddNotice(text);
}

absl::Status JobServers::Check() const {
  const std::vector<Membership::Server> now = cluster_.Servers();
  for (const Membership::Server& placed : placement_.servers) {
    const Membership::Server* const found = Membership::FindSuccessor(now, placed.registration);
    const std::string gone = absl::StrCat("server ", AddressOf(placed));
    if (found == nullptr) return absl::UnavailableError(absl::StrCat(gone, " is gone"));
    const absl::Duration silent = SteadyNow() - found->heard;
    if (silent > Membership::kServerTimeout) {
      return absl::UnavailableError(absl::StrCat(gone, " is gone since ", absl::ToInt64Seconds(silent),
                                                 " s; waiting for it: restart it with its state directory",
                                                 job_.spec().export_snapshots().empty()
                                                     ? ""
                                                     : ", or start another server, which gets its share from the "
                                                       "newest snapshot that was exported"));
    }
    if (found->registration.incarnation() != placed.registration.incarnation()) {
      return absl::UnavailableError(absl::StrCat(gone, " was restarted; its share of the model is being restored"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> JobServers::Recover(const absl::Status& loss) {
  LogWarning(absl::StrCat("job ", job_.id(), ": ", loss.message()));
  const absl::Time began = SteadyNow();
  while (!job_.ended() && !stopper_.stopped()) {
    absl::StatusOr<bool> anew = TryToRecover(loss);
    if (!IsPassing(anew.status())) return anew;
    const absl::Status& status = anew.status();
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

absl::Status JobServers::FindServers(Placement* placement, std::vector<std::string>* news) const {
  const std::vector<Membership::Server> heard = LiveServers(cluster_);
  std::set<std::string> taken;
  std::vector<size_t> gone;
  for (size_t share = 0; share < placement->servers.size(); ++share) {
    Membership::Server& server = placement->servers[share];
    const Membership::Server* const found = Membership::FindSuccessor(heard, server.registration);
    if (found == nullptr) {
      gone.push_back(share);
      continue;
    }
    if (found->registration.incarnation() != server.registration.incarnation())
      news->push_back(absl::StrCat("server ", AddressOf(*found), " was restarted"));
    server = *found;
    taken.insert(AddressOf(server));
  }
  if (gone.empty()) return absl::OkStatus();
  SAMOVAR_ASSIGN_OR_RETURN(const bool exported, opener_.HasExport(*placement));
  // Before the first export has ended.
  const v1::JobStatus status = job_.Status(SteadyNow());
  const bool fresh = !job_.spec().export_snapshots().empty() &&
                     std::all_of(status.snapshots().begin(), status.snapshots().end(),
                                 [&](uint64_t iteration) { return opener_.IsBeforeSecond(iteration); });
  for (const size_t share : gone) {
    Membership::Server& server = placement->servers[share];
    const auto spare = std::find_if(heard.begin(), heard.end(),
                                    [&](const Membership::Server& other) { return !taken.contains(AddressOf(other)); });
    if ((!exported && !fresh) || spare == heard.end()) {
      return absl::UnavailableError(absl::StrCat("server ", AddressOf(server), " is gone"));
    }
    news->push_back(absl::StrCat("server ", AddressOf(server), " is gone, and ", AddressOf(*spare), " has its share"));
    server = *spare;
    taken.insert(AddressOf(server));
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> JobServers::TryToRecover(const absl::Status& loss) {
  const absl::Status state = Check();
  // Silent and back, with all that it had.
  if (state.ok() && !absl::IsNotFound(loss)) {
    job_.Resume();
    return false;
  }
  Placement placement = placement_;
  std::vector<std::string> news;
  if (const absl::Status found = FindServers(&placement, &news); !found.ok()) {
    // One has fallen silent since the look above; the next one decides.
    if (state.ok()) return false;
    return state;
  }
  job_.Suspend(std::string(state.ok() ? loss.message() : state.message()));
  const auto begin = KeepsTogether() ? JobOpener::Begin::kTogether : JobOpener::Begin::kEachWithItsOwn;
  SAMOVAR_ASSIGN_OR_RETURN(const JobOpener::Opened opened, Open(&placement, begin));
  for (const Membership::Server& before : placement_.servers) {
    if (!Membership::FindSuccessor(placement.servers, before.registration)) left_.push_back(before);
  }
  placement_ = std::move(placement);
  calls_ = std::make_unique<ParameterServers>(AddressesOf(placement_.servers), &cluster_.Channels(), &stopper_);
  const uint64_t repeated_before = job_.Status(SteadyNow()).repeated_iterations();
  job_.Recovered(PlanFor(placement_, opened.ledgers));
  for (const std::string& notice : opened.notices) Notice(notice);
  const std::string back =
      opened.restored.has_value() ? absl::StrCat("to snapshot ", *opened.restored) : "to the beginning";
  const std::string lost = news.empty() ? std::string(loss.message()) : absl::StrJoin(news, ", ");
  Notice(absl::StrCat(lost, "; ", KeepsTogether() ? absl::StrCat("all servers have gone back ", back, "; ") : "",
                      job_.Status(SteadyNow()).repeated_iterations() - repeated_before,
                      " iterations are computed again"));
  Retain();
  return true;
}

void JobServers::CloseAtThoseThatLeft() {
  const std::vector<Membership::Server> heard = LiveServers(cluster_);
  std::erase_if(left_, [&](const Membership::Server& left) {
    const Membership::Server* const back = Membership::FindSuccessor(heard, left.registration);
    if (back == nullptr) return false;
    if (Membership::FindSuccessor(placement_.servers, back->registration) != nullptr) return true;
    // One that was started again has nothing open, and answers so.
    const ParameterServers server({AddressOf(*back)}, &cluster_.Channels(), &stopper_);
    return server.CloseJob(job_.id(), epoch_, cluster_.NextOpening()).ok();
  });
}

void JobServers::Retain() {
  CloseAtThoseThatLeft();
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
  if (const absl::Status removed = calls_->RetainSnapshots(job_.id(), epoch_, placement_.opening, keep);
      !removed.ok()) {
    LogWarning(absl::StrCat("job ", job_.id(), ": old snapshots could not be removed: ", removed.message()));
  }
  std::erase_if(there, [&](uint64_t iteration) { return !keep.contains({placement_.run, iteration}); });
  job_.SnapshotsHeld(there);
}

}  // namespace samovar
