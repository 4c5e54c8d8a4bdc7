#include "server/coordinator/job_runner.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/model/chunk_plan.h"
#include "common/parameters/push_counters.h"
#include "common/telemetry/log.h"
#include "server/coordinator/job_spec.h"
#include "server/coordinator/parameter_servers.h"

namespace samovar {
namespace {

// How often silence and the stopper are looked at while nothing else happens.
constexpr absl::Duration kTick = absl::Milliseconds(200);
constexpr uint32_t kDefaultKeep = 2;
// A checkpoint that the servers cannot take now is tried again after this long, until they are given up.
constexpr absl::Duration kCheckpointRetry = absl::Seconds(1);

// Servers and chunks of a job, and where its weights come from.
struct Placement {
  std::vector<Membership::Server> servers;
  uint32_t chunk_elements = 0;
  bool restore = false;
  uint64_t restore_iteration = 0;
};

std::vector<std::string> AddressesOf(const std::vector<Membership::Server>& servers) {
  std::vector<std::string> addresses;
  for (const Membership::Server& server : servers) addresses.push_back(server.registration.address());
  return addresses;
}

class Runner {
 public:
  Runner(Job* job, uint64_t epoch, const ClusterView& cluster, const Stopper& stopper)
      : job_(*job), epoch_(epoch), cluster_(cluster), stopper_(stopper) {}

  // As RunJob.
  absl::Status Run();

 private:
  absl::StatusOr<std::vector<Membership::Server>> AwaitServers();
  absl::StatusOr<Placement> Place(std::vector<Membership::Server> servers);
  absl::StatusOr<Placement> PlaceRestored(std::vector<Membership::Server> servers);
  absl::Status Open(const Placement& placement);
  absl::Status Train();
  absl::Status CheckServers() const;
  absl::Status BeginCheckpoint(const Job::Checkpoint& checkpoint);
  absl::Status EndCheckpoint();
  absl::Status Verify();
  // Repeats a call that failed for a passing reason until the servers are given up.
  absl::Status Insist(const std::string& what, absl::FunctionRef<absl::Status()> call) const;

  Job& job_;
  const uint64_t epoch_;
  const ClusterView& cluster_;
  const Stopper& stopper_;
  std::vector<Membership::Server> placed_;
  std::unique_ptr<ParameterServers> servers_;
  std::optional<Job::Checkpoint> checkpoint_;
};

absl::StatusOr<std::vector<Membership::Server>> Runner::AwaitServers() {
  const size_t wanted = job_.spec().servers();
  while (!stopper_.stopped() && !job_.ended()) {
    std::vector<Membership::Server> servers;
    for (Membership::Server& server : cluster_.servers()) {
      if (SteadyNow() - server.heard <= Membership::kServerTimeout) servers.push_back(std::move(server));
    }
    // A resumed job needs the very servers that hold its snapshots, which may be any of those registered.
    if (servers.size() >= wanted) return servers;
    job_.SetCause(absl::StrCat("waits for servers: ", servers.size(), " of ", wanted, " have registered"));
    stopper_.WaitFor(kTick);
  }
  return absl::CancelledError("the coordinator is stopping");
}

absl::StatusOr<Placement> Runner::PlaceRestored(std::vector<Membership::Server> servers) {
  const v1::JobSpec& spec = job_.spec();
  const ParameterServers all(AddressesOf(servers), &stopper_);
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<v1::ListSnapshotsResponse> lists, all.ListSnapshots(spec.job_id()));
  // iteration -> place -> server that holds this place's chunks
  std::map<uint64_t, std::map<uint32_t, size_t>> holders;
  std::map<uint64_t, v1::SnapshotInfo> infos;
  for (size_t i = 0; i < lists.size(); ++i) {
    for (const v1::SnapshotInfo& info : lists[i].snapshots()) {
      holders[info.iteration()][info.server_index()] = i;
      infos[info.iteration()] = info;
    }
  }
  if (infos.empty()) {
    return absl::NotFoundError(absl::StrCat("there is no snapshot of job \"", spec.job_id(), "\" to resume from"));
  }
  for (auto held = holders.rbegin(); held != holders.rend(); ++held) {
    const v1::SnapshotInfo& info = infos[held->first];
    if (info.servers() != spec.servers()) {
      return absl::FailedPreconditionError(absl::StrCat("the snapshots of job \"", spec.job_id(), "\" are of ", info.servers(),
                                                        " servers, the job asks for ", spec.servers(), "; resume it with ",
                                                        info.servers(), " servers"));
    }
    if (held->second.size() < info.servers()) continue;
    if (held->first > job_.max_iter()) {
      return absl::FailedPreconditionError(absl::StrCat("the newest snapshot is of iteration ", held->first,
                                                        ", beyond max_iter ", job_.max_iter()));
    }
    Placement placement;
    for (const auto& [place, server] : held->second) placement.servers.push_back(servers[server]);
    placement.chunk_elements = info.chunk_elements();
    placement.restore = true;
    placement.restore_iteration = held->first;
    return placement;
  }
  return absl::FailedPreconditionError(absl::StrCat("no snapshot of job \"", spec.job_id(), "\" is held by all of its ",
                                                    spec.servers(), " servers; start it without --resume"));
}

absl::StatusOr<Placement> Runner::Place(std::vector<Membership::Server> servers) {
  const v1::JobSpec& spec = job_.spec();
  if (spec.resume()) return PlaceRestored(std::move(servers));
  Placement placement;
  placement.servers.assign(servers.begin(), servers.begin() + spec.servers());
  uint32_t threads = 0;
  for (const Membership::Server& server : placement.servers) threads += std::max(1u, server.registration.apply_threads());
  placement.chunk_elements = spec.chunk_elements() != 0 ? spec.chunk_elements()
                                                        : ChunkPlan::ChooseChunkElements(spec.layout().elements(), threads);
  return placement;
}

absl::Status Runner::Open(const Placement& placement) {
  const v1::JobSpec& spec = job_.spec();
  const uint32_t servers = static_cast<uint32_t>(placement.servers.size());
  SAMOVAR_ASSIGN_OR_RETURN(const ChunkPlan plan,
                           ChunkPlan::Create(spec.layout().elements(), placement.chunk_elements, servers));
  placed_ = placement.servers;
  servers_ = std::make_unique<ParameterServers>(AddressesOf(placed_), &stopper_);
  const auto request = [&](size_t server) {
    v1::OpenJobRequest open;
    open.set_job_id(spec.job_id());
    open.set_epoch(epoch_);
    *open.mutable_layout() = spec.layout();
    open.set_chunk_elements(placement.chunk_elements);
    for (uint32_t chunk : plan.ChunksOf(static_cast<uint32_t>(server))) open.add_chunks(chunk);
    *open.mutable_solver() = spec.solver();
    open.set_seed(spec.seed());
    open.set_parts(OrderedParts(spec));
    open.set_staleness_scaling(spec.staleness_scaling());
    open.set_delay_compensation(spec.delay_compensation());
    open.set_push_every(spec.push_every());
    if (spec.has_initial_model() && !placement.restore) *open.mutable_initial_model() = spec.initial_model();
    open.set_restore(placement.restore);
    open.set_restore_iteration(placement.restore_iteration);
    open.set_servers(servers);
    open.set_server_index(static_cast<uint32_t>(server));
    return open;
  };
  std::vector<v1::OpenJobResponse> opened;
  SAMOVAR_RETURN_IF_ERROR(Insist("opening the job at its servers", [&]() -> absl::Status {
    SAMOVAR_ASSIGN_OR_RETURN(opened, servers_->OpenJob(request));
    return absl::OkStatus();
  }));
  std::vector<Ledger> ledgers;
  for (const v1::OpenJobResponse& response : opened) {
    for (const v1::ChunkLedger& chunk : response.ledgers()) {
      SAMOVAR_ASSIGN_OR_RETURN(Ledger ledger, Ledger::FromProto(chunk.ledger()));
      ledgers.push_back(std::move(ledger));
    }
  }
  if (ledgers.size() != plan.chunks()) {
    return absl::InternalError(absl::StrCat("the servers opened ", ledgers.size(), " chunks of ", plan.chunks()));
  }
  Job::Plan started;
  started.epoch = epoch_;
  started.chunk_elements = placement.chunk_elements;
  started.servers = AddressesOf(placed_);
  started.done = HeldByAll(ledgers, job_.max_iter());
  // A job that begins from a solver's state holds all iterations before it.
  started.resumed_from = placement.restore ? placement.restore_iteration : started.done.watermark();
  LogInfo(absl::StrCat("job ", job_.id(), ": ", plan.chunks(), " chunks of ", placement.chunk_elements, " floats at ",
                       absl::StrJoin(started.servers, ", "), "; ", job_.max_iter() - started.done.size(), " iterations to do",
                       placement.restore ? absl::StrCat(", resumed from snapshot ", placement.restore_iteration) : ""));
  job_.Start(std::move(started), SteadyNow());
  return absl::OkStatus();
}

absl::Status Runner::CheckServers() const {
  const std::vector<Membership::Server> now = cluster_.servers();
  for (const Membership::Server& placed : placed_) {
    const std::string& address = placed.registration.address();
    const auto found = std::find_if(now.begin(), now.end(), [&](const Membership::Server& server) {
      return server.registration.address() == address;
    });
    if (found == now.end() || found->registration.incarnation() != placed.registration.incarnation()) {
      return absl::DataLossError(absl::StrCat("server ", address, " was restarted and has lost its part of the model; resume the job "
                                              "from its last snapshot"));
    }
    const absl::Duration silent = SteadyNow() - found->heard;
    if (silent > Membership::kServerTimeout) {
      return absl::UnavailableError(absl::StrCat("server ", address, " has been silent for ", absl::ToInt64Seconds(silent),
                                                 " s; resume the job from its last snapshot when the server is back"));
    }
  }
  return absl::OkStatus();
}

absl::Status Runner::Insist(const std::string& what, absl::FunctionRef<absl::Status()> call) const {
  while (true) {
    const absl::Status status = call();
    if (!absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status)) return Annotate(status, what);
    LogWarning(absl::StrCat("job ", job_.id(), ": ", what, " failed, will be repeated: ", status.message()));
    SAMOVAR_RETURN_IF_ERROR(CheckServers());
    if (job_.ended() || stopper_.WaitFor(kCheckpointRetry)) return absl::CancelledError(what);
  }
}

absl::Status Runner::BeginCheckpoint(const Job::Checkpoint& checkpoint) {
  const uint64_t iteration = checkpoint.iteration;
  SAMOVAR_RETURN_IF_ERROR(Insist("freezing the weights", [&] { return servers_->Freeze(job_.id(), epoch_, iteration); }));
  checkpoint_ = checkpoint;
  job_.CheckpointFrozen(checkpoint, cluster_.workers());
  if (checkpoint.persist) {
    const uint32_t keep = job_.spec().keep_snapshots() == 0 ? kDefaultKeep : job_.spec().keep_snapshots();
    const absl::Status status = servers_->Persist(job_.id(), epoch_, iteration, keep);
    if (!status.ok()) LogError(absl::StrCat("job ", job_.id(), ": snapshot at ", iteration, ": ", status.message()));
    job_.SnapshotEnded(iteration, status);
  }
  // How late pushes come, for the status. Not worth an error.
  if (const auto ledgers = servers_->GetLedgers(job_.id()); ledgers.ok()) {
    v1::PushCounters counters;
    for (const v1::GetLedgersResponse& response : *ledgers) AddCounters(response.counters(), &counters);
    job_.TakeCounters(counters);
  }
  return absl::OkStatus();
}

absl::Status Runner::EndCheckpoint() {
  const uint64_t iteration = checkpoint_->iteration;
  checkpoint_.reset();
  job_.CheckpointEnded();
  if (iteration == job_.max_iter()) {
    // The last copy stays in memory until the job is closed: the model can be read even if it could not be written.
    LogInfo(absl::StrCat("job ", job_.id(), ": done"));
    job_.End(v1::JOB_STATE_SUCCEEDED, "", SteadyNow());
    return absl::OkStatus();
  }
  return Insist("releasing the frozen weights", [&] { return servers_->Thaw(job_.id(), epoch_, iteration); });
}

absl::Status Runner::Verify() {
  std::vector<Ledger> ledgers;
  v1::LedgerSummary summary;
  SAMOVAR_RETURN_IF_ERROR(Insist("reading the ledgers", [&]() -> absl::Status {
    ledgers.clear();
    summary.Clear();
    SAMOVAR_ASSIGN_OR_RETURN(const std::vector<v1::GetLedgersResponse> responses, servers_->GetLedgers(job_.id()));
    for (const v1::GetLedgersResponse& response : responses) {
      for (const v1::ChunkLedger& chunk : response.ledgers()) {
        SAMOVAR_ASSIGN_OR_RETURN(Ledger ledger, Ledger::FromProto(chunk.ledger()));
        ledgers.push_back(std::move(ledger));
      }
      AddCounters(response.counters(), summary.mutable_counters());
    }
    return absl::OkStatus();
  }));
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

absl::Status Runner::Train() {
  while (!job_.ended()) {
    if (stopper_.stopped()) return absl::CancelledError("the coordinator is stopping");
    SAMOVAR_RETURN_IF_ERROR(CheckServers());
    if (job_.AwaitsVerification()) {
      SAMOVAR_RETURN_IF_ERROR(Verify());
    } else if (checkpoint_.has_value() && job_.TestsDone()) {
      SAMOVAR_RETURN_IF_ERROR(EndCheckpoint());
    } else if (const auto checkpoint = job_.TakeCheckpoint()) {
      SAMOVAR_RETURN_IF_ERROR(BeginCheckpoint(*checkpoint));
    } else {
      job_.AwaitWork(kTick);
    }
  }
  return absl::OkStatus();
}

absl::Status Runner::Run() {
  absl::Status status = [&]() -> absl::Status {
    SAMOVAR_ASSIGN_OR_RETURN(std::vector<Membership::Server> servers, AwaitServers());
    SAMOVAR_ASSIGN_OR_RETURN(const Placement placement, Place(std::move(servers)));
    SAMOVAR_RETURN_IF_ERROR(Open(placement));
    return Train();
  }();
  if (status.ok() || job_.ended()) return absl::OkStatus();
  if (stopper_.stopped()) return absl::CancelledError("the coordinator is stopping");
  if (absl::IsResourceExhausted(status) && !job_.running()) return status;
  LogError(absl::StrCat("job ", job_.id(), " FAILED: ", status.message()));
  job_.End(v1::JOB_STATE_FAILED, std::string(status.message()), SteadyNow());
  return absl::OkStatus();
}

}  // namespace

absl::Status RunJob(Job* job, uint64_t epoch, const ClusterView& cluster, const Stopper& stopper) {
  return Runner(job, epoch, cluster, stopper).Run();
}

}  // namespace samovar
