#include "server/jobs/job_opener.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "server/cluster/cluster_view.h"
#include "server/cluster/parameter_servers.h"

namespace samovar {
namespace {

// Snapshots that belong together: of one run, at one iteration.
using SnapshotName = std::pair<uint64_t, uint64_t>;

constexpr absl::Duration kListEvery = absl::Seconds(1);

SnapshotName NameOf(const v1::SnapshotInfo& info) { return {info.iteration(), info.run()}; }

absl::StatusOr<std::vector<Ledger>> LedgersOf(const std::vector<absl::StatusOr<v1::OpenJobResponse>>& answers) {
  std::vector<Ledger> ledgers;
  for (const absl::StatusOr<v1::OpenJobResponse>& answer : answers) {
    for (const v1::ChunkLedger& chunk : answer->ledgers()) {
      SAMOVAR_ASSIGN_OR_RETURN(Ledger ledger, Ledger::FromProto(chunk.ledger()));
      ledgers.push_back(std::move(ledger));
    }
  }
  return ledgers;
}

}  // namespace

const std::string& AddressOf(const Membership::Server& server) { return server.registration.address(); }

absl::StatusOr<std::vector<HeldShare>> JobOpener::Ask(const std::vector<Membership::Server>& servers) const {
  const ParameterServers asked(AddressesOf(servers), &channels_, &stopper_);
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<v1::ListSnapshotsResponse> lists, asked.ListSnapshots(spec_.job_id()));
  std::vector<HeldShare> held(servers.size());
  for (size_t i = 0; i < servers.size(); ++i) {
    held[i].server = servers[i];
    if (lists[i].has_open()) held[i].open = lists[i].open();
    if (lists[i].has_last_share()) held[i].last = lists[i].last_share();
    held[i].snapshots.assign(lists[i].snapshots().begin(), lists[i].snapshots().end());
  }
  return held;
}

Placement JobOpener::PlaceAnew(const std::vector<Membership::Server>& servers) const {
  Placement placement;
  placement.servers.assign(servers.begin(), servers.begin() + spec_.servers());
  placement.run = spec_.run();
  uint32_t threads = 0;
  for (const Membership::Server& server : placement.servers)
    threads += std::max(1u, server.registration.apply_threads());
  placement.chunk_elements = spec_.chunk_elements() != 0
                                 ? spec_.chunk_elements()
                                 : ChunkPlan::ChooseChunkElements(spec_.layout().elements(), threads);
  return placement;
}

absl::StatusOr<JobExport> JobOpener::NewestExport(const std::vector<HeldShare>& held) const {
  std::set<uint64_t> runs;
  for (const HeldShare& one : held) {
    for (const v1::SnapshotInfo& info : one.snapshots) runs.insert(info.run());
    if (one.last.has_value()) runs.insert(one.last->run());
  }
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<JobExport> exports, Exports());
  for (const JobExport& one : exports) {
    const bool ours = runs.empty() || runs.contains(one.run);
    if (ours && one.iteration <= static_cast<uint64_t>(spec_.solver().max_iter())) return one;
  }
  return absl::NotFoundError(absl::StrCat("no snapshot of its run in ", absl::StrJoin(ExportPlaces(spec_), " and ")));
}

Placement JobOpener::PlaceAround(const JobExport& exported, const std::vector<HeldShare>& held) const {
  // For each share the servers that have snapshots of it, by their newest one.
  std::vector<std::map<uint64_t, size_t>> owners(spec_.servers());
  for (size_t i = 0; i < held.size(); ++i) {
    for (const v1::SnapshotInfo& info : held[i].snapshots) {
      const bool ours = info.run() == exported.run && info.servers() == spec_.servers() &&
                        info.chunk_elements() == exported.chunk_elements;
      if (ours && info.share() < owners.size()) owners[info.share()][info.iteration()] = i;
    }
  }
  std::vector<std::optional<size_t>> chosen(spec_.servers());
  std::set<size_t> taken;
  for (size_t share = 0; share < chosen.size(); ++share) {
    for (auto owner = owners[share].rbegin(); owner != owners[share].rend() && !chosen[share].has_value(); ++owner) {
      if (taken.insert(owner->second).second) chosen[share] = owner->second;
    }
  }
  Placement placement;
  size_t next = 0;
  for (std::optional<size_t>& server : chosen) {
    while (!server.has_value()) {
      if (taken.insert(next).second) server = next;
      ++next;
    }
    placement.servers.push_back(held[*server].server);
  }
  placement.chunk_elements = exported.chunk_elements;
  placement.run = exported.run;
  return placement;
}

absl::StatusOr<JobOpener::Resumption> JobOpener::PlaceByNewestSnapshot(const std::vector<HeldShare>& held,
                                                                       bool fill_up) const {
  // name -> share -> the server that holds it
  std::map<SnapshotName, std::map<uint32_t, size_t>> holders;
  std::map<SnapshotName, v1::SnapshotInfo> infos;
  for (size_t i = 0; i < held.size(); ++i) {
    for (const v1::SnapshotInfo& info : held[i].snapshots) {
      holders[NameOf(info)][info.share()] = i;
      infos[NameOf(info)] = info;
    }
  }
  for (auto found = holders.rbegin(); found != holders.rend(); ++found) {
    const v1::SnapshotInfo& info = infos[found->first];
    if (info.servers() != spec_.servers()) {
      return absl::FailedPreconditionError(absl::StrCat("the snapshots of job \"", spec_.job_id(), "\" are of ",
                                                        info.servers(), " servers, the job asks for ", spec_.servers(),
                                                        "; resume it with ", info.servers(),
                                                        " servers, or begin a job from a snapshot that was exported "
                                                        "(--restore), with any number"));
    }
    if (found->second.size() < info.servers()) continue;
    const auto max_iter = static_cast<uint64_t>(spec_.solver().max_iter());
    if (info.iteration() > max_iter) {
      return absl::FailedPreconditionError(
          absl::StrCat("the newest snapshot is of iteration ", info.iteration(), ", beyond max_iter ", max_iter));
    }
    Placement placement;
    for (const auto& [share, server] : found->second) placement.servers.push_back(held[server].server);
    placement.chunk_elements = info.chunk_elements();
    placement.run = info.run();
    return Resumption{std::move(placement)};
  }
  std::string no_export;
  if (!ExportPlaces(spec_).empty()) {
    const absl::StatusOr<JobExport> exported = NewestExport(held);
    if (exported.ok() && fill_up) return Resumption{PlaceAround(*exported, held), true};
    if (exported.ok()) {
      return absl::UnavailableError(absl::StrCat("waits for the server that holds the rest of job \"", spec_.job_id(),
                                                 "\"; if none comes, its share is restored from ",
                                                 exported->directory));
    }
    if (!absl::IsNotFound(exported.status())) return exported.status();
    no_export = absl::StrCat(", and there is ", exported.status().message());
  }
  if (infos.empty()) {
    return absl::NotFoundError(
        absl::StrCat("there is no snapshot of job \"", spec_.job_id(), "\" to resume from", no_export));
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "no snapshot of job \"", spec_.job_id(), "\" is held by all of its ", spec_.servers(), " servers", no_export,
      ExportPlaces(spec_).empty() ? "; if some were exported, name their directory "
                                    "(--export-snapshots), otherwise start it without --resume"
                                  : "; start it without --resume"));
}

absl::StatusOr<Placement> JobOpener::PlaceAgain(const std::vector<HeldShare>& held, bool fill_up) const {
  // The run of the share that a server has or had; a resumed job's run is that of the snapshot that it was resumed
  // from.
  std::vector<std::optional<v1::SnapshotInfo>> claims;
  bool snapshots = false;
  uint32_t chunk_elements = 0;
  uint64_t run = spec_.run();
  for (const HeldShare& one : held) {
    const std::optional<v1::SnapshotInfo>& claim = one.open.has_value() ? one.open : one.last;
    const bool ours =
        claim.has_value() && claim->servers() == spec_.servers() && (spec_.resume() || claim->run() == spec_.run());
    claims.push_back(ours ? claim : std::nullopt);
    if (!ours) continue;
    run = claim->run();
    chunk_elements = claim->chunk_elements();
    snapshots = snapshots || std::any_of(one.snapshots.begin(), one.snapshots.end(), [&](const v1::SnapshotInfo& info) {
                  return info.run() == run && (spec_.export_snapshots().empty() || !IsBeforeSecond(info.iteration()));
                });
  }
  std::vector<std::optional<size_t>> holders(spec_.servers());
  for (size_t i = 0; i < claims.size(); ++i) {
    if (claims[i].has_value() && (held[i].open.has_value() || !holders[claims[i]->share()].has_value())) {
      holders[claims[i]->share()] = i;
    }
  }
  if (fill_up && (snapshots || chunk_elements == 0)) {
    SAMOVAR_ASSIGN_OR_RETURN(const std::vector<JobExport> exports, Exports());
    for (const JobExport& one : exports) {
      const bool ours = chunk_elements != 0 ? one.run == run && one.chunk_elements == chunk_elements
                                            : spec_.resume() || one.run == run;
      if (!ours) continue;
      // They find there all that they would lack.
      snapshots = false;
      chunk_elements = one.chunk_elements;
      run = one.run;
      break;
    }
  }
  size_t next = 0;
  for (uint32_t share = 0; share < holders.size(); ++share) {
    if (holders[share].has_value()) continue;
    while (next < claims.size() && claims[next].has_value()) ++next;
    if (!fill_up || snapshots || next == claims.size()) {
      return absl::UnavailableError(absl::StrCat("the server that has share ", share + 1, " of ", spec_.servers(),
                                                 " of the model has not come back"));
    }
    holders[share] = next++;
  }
  Placement placement;
  for (const std::optional<size_t>& holder : holders) placement.servers.push_back(held[*holder].server);
  if (chunk_elements == 0) return PlaceAnew(placement.servers);
  placement.chunk_elements = chunk_elements;
  placement.run = run;
  return placement;
}

bool JobOpener::IsBeforeSecond(uint64_t iteration) const {
  return !spec_.resume() && iteration < 2 * static_cast<uint64_t>(std::max(0, spec_.solver().snapshot()));
}

bool JobOpener::Fits(const v1::SnapshotInfo& info, const Placement& placement, size_t share) {
  return info.run() == placement.run && info.chunk_elements() == placement.chunk_elements &&
         info.servers() == placement.servers.size() && info.share() == share;
}

absl::StatusOr<bool> JobOpener::IsOpenAtAll(const Placement& placement) const {
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<HeldShare> held, Ask(placement.servers));
  size_t open = 0;
  for (size_t share = 0; share < held.size(); ++share) {
    if (held[share].open.has_value() && Fits(*held[share].open, placement, share)) ++open;
  }
  return open == held.size();
}

std::vector<std::set<uint64_t>> JobOpener::UsableSnapshots(const Placement& placement,
                                                           const std::vector<HeldShare>& held,
                                                           const Damaged& damaged) const {
  std::vector<std::set<uint64_t>> usable(held.size());
  for (size_t share = 0; share < held.size(); ++share) {
    for (const v1::SnapshotInfo& info : held[share].snapshots) {
      const bool good = Fits(info, placement, share) && !damaged.own.contains({share, info.iteration()});
      if (good && info.iteration() <= static_cast<uint64_t>(spec_.solver().max_iter()))
        usable[share].insert(info.iteration());
    }
  }
  return usable;
}

absl::StatusOr<std::map<uint64_t, JobExport>> JobOpener::UsableExports(const Placement& placement,
                                                                       const Damaged& damaged) const {
  std::map<uint64_t, JobExport> usable;
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<JobExport> exports, Exports());
  for (const JobExport& one : exports) {
    const bool fits = one.run == placement.run && one.chunk_elements == placement.chunk_elements &&
                      one.iteration <= static_cast<uint64_t>(spec_.solver().max_iter());
    if (fits && !damaged.exported.contains(one.directory)) usable.emplace(one.iteration, one);
  }
  return usable;
}

absl::StatusOr<std::vector<JobExport>> JobOpener::Exports() const {
  if (SteadyNow() - listed_ < kListEvery) return exports_;
  exports_ = ListExports(spec_, storage_);
  listed_ = SteadyNow();
  return exports_;
}

absl::StatusOr<bool> JobOpener::HasExport(const Placement& placement) const {
  SAMOVAR_ASSIGN_OR_RETURN(const auto usable, UsableExports(placement, {}));
  return !usable.empty();
}

absl::StatusOr<std::vector<JobOpener::Source>> JobOpener::Choose(const Placement& placement,
                                                                 const std::vector<HeldShare>& held,
                                                                 const Damaged& damaged, Begin begin) const {
  const size_t shares = placement.servers.size();
  std::vector<Source> choice(shares);
  if (begin == Begin::kAnew) return choice;
  const std::vector<std::set<uint64_t>> own = UsableSnapshots(placement, held, damaged);
  const auto stays = [&](size_t share) { return begin == Begin::kEachWithItsOwn && held[share].open.has_value(); };
  // A share without a snapshot of its own cannot do without the storage; one that is behind the others may.
  bool needs_export = false;
  bool is_behind = false;
  for (size_t share = 0; share < shares; ++share) {
    needs_export = needs_export || (!stays(share) && own[share].empty());
    is_behind = is_behind || (begin == Begin::kTogether && own[share] != own[0]);
  }
  absl::StatusOr<std::map<uint64_t, JobExport>> exports = std::map<uint64_t, JobExport>();
  if (needs_export || is_behind) exports = UsableExports(placement, damaged);
  if (needs_export) SAMOVAR_RETURN_IF_ERROR(exports.status());
  std::vector<std::set<uint64_t>> usable = own;
  if (exports.ok()) {
    for (std::set<uint64_t>& one : usable) {
      for (const auto& [iteration, exported] : *exports) one.insert(iteration);
    }
  }
  if (begin == Begin::kTogether) {
    std::set<uint64_t> common = usable[0];
    for (const std::set<uint64_t>& one : usable)
      std::erase_if(common, [&](uint64_t iteration) { return !one.contains(iteration); });
    usable.assign(shares, common);
  }
  for (size_t share = 0; share < shares; ++share) {
    if (stays(share)) continue;
    if (!usable[share].empty()) {
      const uint64_t newest = *usable[share].rbegin();
      if (own[share].contains(newest)) {
        choice[share].own = newest;
      } else {
        choice[share].exported = exports->at(newest);
      }
    } else if (spec_.resume()) {
      return absl::NotFoundError(absl::StrCat("server ", AddressOf(placement.servers[share]),
                                              " has no snapshot left of job \"", spec_.job_id(),
                                              "\" that the job could go on with, and how the model began is known to "
                                              "the run before only; submit that one again"));
    }
  }
  return choice;
}

v1::OpenJobRequest JobOpener::RequestFor(const Placement& placement, const ChunkPlan& plan, size_t share,
                                         const Source& source) const {
  v1::OpenJobRequest open;
  open.set_job_id(spec_.job_id());
  open.set_epoch(epoch_);
  *open.mutable_layout() = spec_.layout();
  open.set_chunk_elements(placement.chunk_elements);
  for (uint32_t chunk : plan.ChunksOf(static_cast<uint32_t>(share))) open.add_chunks(chunk);
  *open.mutable_solver() = spec_.solver();
  open.set_seed(spec_.seed());
  *open.mutable_consistency() = spec_.consistency();
  if (spec_.has_initial_model()) *open.mutable_initial_model() = spec_.initial_model();
  if (source.exported.has_value()) {
    open.set_restore_exported(source.exported->directory);
    open.set_restore_exported_sha256(source.exported->digest);
  } else {
    open.set_restore(source.own.has_value());
    open.set_restore_iteration(source.own.value_or(0));
  }
  open.set_servers(plan.servers());
  open.set_share(static_cast<uint32_t>(share));
  open.set_run(placement.run);
  open.set_opening(placement.opening);
  return open;
}

absl::Status JobOpener::CloseAt(const std::vector<Membership::Server>& servers, uint64_t before_opening) const {
  if (servers.empty()) return absl::OkStatus();
  return ParameterServers(AddressesOf(servers), &channels_, &stopper_).CloseJob(spec_.job_id(), epoch_, before_opening);
}

absl::StatusOr<JobOpener::Opened> JobOpener::Open(const Placement& placement, Begin begin) {
  SAMOVAR_ASSIGN_OR_RETURN(const ChunkPlan plan, ChunkPlan::Create(spec_.layout().elements(), placement.chunk_elements,
                                                                   static_cast<uint32_t>(placement.servers.size())));
  const ParameterServers servers(AddressesOf(placement.servers), &channels_, &stopper_);
  Opened opened;
  Damaged damaged;
  while (true) {
    SAMOVAR_ASSIGN_OR_RETURN(std::vector<HeldShare> held, Ask(placement.servers));
    // Closes the job at servers where it cannot stay open.
    std::vector<Membership::Server> closed;
    for (size_t share = 0; share < held.size(); ++share) {
      std::optional<v1::SnapshotInfo>& open = held[share].open;
      if (!open.has_value() || (begin == Begin::kEachWithItsOwn && Fits(*open, placement, share))) continue;
      closed.push_back(placement.servers[share]);
      open.reset();
    }
    SAMOVAR_ASSIGN_OR_RETURN(const std::vector<Source> choice, Choose(placement, held, damaged, begin));
    SAMOVAR_RETURN_IF_ERROR(CloseAt(closed, placement.opening));
    const std::vector<absl::StatusOr<v1::OpenJobResponse>> answers =
        servers.OpenJob([&](size_t share) { return RequestFor(placement, plan, share, choice[share]); });
    const size_t damaged_before = damaged.size();
    for (size_t share = 0; share < answers.size(); ++share) {
      const absl::Status& status = answers[share].status();
      if (status.ok()) continue;
      // One that was removed since it was listed is passed over as well.
      if (!choice[share].iteration().has_value() || !(absl::IsDataLoss(status) || absl::IsNotFound(status)))
        return status;
      if (choice[share].exported.has_value()) {
        damaged.exported.insert(choice[share].exported->directory);
      } else {
        damaged.own.emplace(share, *choice[share].own);
      }
      opened.notices.push_back(absl::StrCat(status.message(), "; the snapshot before it is taken"));
    }
    if (damaged.size() != damaged_before) continue;

    SAMOVAR_ASSIGN_OR_RETURN(opened.ledgers, LedgersOf(answers));
    if (opened.ledgers.size() != plan.chunks()) {
      return absl::InternalError(
          absl::StrCat("the servers opened ", opened.ledgers.size(), " chunks of ", plan.chunks()));
    }
    if (begin == Begin::kTogether) opened.restored = choice[0].iteration();
    for (size_t share = 0; share < held.size(); ++share) {
      const bool stayed = begin == Begin::kEachWithItsOwn && held[share].open.has_value();
      // Where all have gone back together, only those from elsewhere are news.
      if (stayed || (begin != Begin::kEachWithItsOwn && !choice[share].exported.has_value())) continue;
      std::string source = "initial weights";
      if (choice[share].own.has_value()) source = absl::StrCat("its snapshot ", *choice[share].own);
      if (choice[share].exported.has_value()) source = choice[share].exported->directory;
      opened.notices.push_back(absl::StrCat("server ", AddressOf(placement.servers[share]),
                                            ": its share of the model was restored from ", source));
    }
    return opened;
  }
}

}  // namespace samovar
