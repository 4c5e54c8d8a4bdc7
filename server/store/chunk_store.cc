#include "server/store/chunk_store.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/exceptions.h"
#include "common/base/status_macros.h"
#include "common/model/epochs.h"
#include "common/model/initial_values.h"
#include "common/model/layout.h"
#include "common/parameters/push_counters.h"
#include "common/telemetry/log.h"
#include "common/telemetry/log_format.h"
#include "server/snapshot/share_export.h"
#include "server/store/chunk_walk.h"
#include "server/store/exchange_operation.h"
#include "server/store/restore_exported.h"

namespace samovar {
namespace {

// How long the closing of a job waits for requests that still hold it, and how often it looks.
constexpr absl::Duration kReleaseTimeout = absl::Seconds(2);
constexpr absl::Duration kReleaseTick = absl::Milliseconds(1);

absl::StatusOr<std::shared_ptr<const FrozenCopy>> FindFrozen(const HostedJob& job, uint64_t iteration) {
  std::shared_ptr<const FrozenCopy> copy = job.frozen(iteration);
  if (copy != nullptr) return copy;
  return absl::NotFoundError(
      absl::StrCat("job \"", job.id(), "\" has no frozen copy ", iteration, " here; freeze it first"));
}

// An opening is a number of its coordinator's epoch, or of an earlier one.
absl::Status CheckOpeningOf(const v1::OpenJobRequest& request) {
  if (request.opening() >> kOpeningBits <= request.epoch()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("job \"", request.job_id(), "\": opening ", request.opening(),
                                                 " is none of a coordinator in epoch ", request.epoch()));
}

}  // namespace

ChunkStore::ChunkStore(const Options& options, SnapshotStore* snapshots, StoreMetrics* metrics)
    : options_(options),
      snapshots_(snapshots),
      metrics_(*metrics),
      budget_(options.max_parameter_bytes, "parameters",
              "use more servers, end other jobs, or give the server more memory (--parameter-memory)",
              metrics->counter(StoreMetrics::Refusal::kMemory)),
      messages_(options.max_message_bytes, "messages", "try again later",
                metrics->counter(StoreMetrics::Refusal::kMemory)),
      epoch_(options.epoch),
      lanes_(options.apply_threads, options.max_queued, metrics->LaneCounts(options.apply_threads)),
      frozen_reader_(1, options.max_queued, metrics->LaneCounts(0)),
      expirer_([this] { ExpireWaits(); }) {}

ChunkStore::~ChunkStore() { Stop(); }

void ChunkStore::Stop() {
  EndWaits();
  stopper_.Stop();
  if (expirer_.joinable()) expirer_.join();
  frozen_reader_.Stop();
  lanes_.Stop();
}

std::vector<std::shared_ptr<HostedJob>> ChunkStore::Jobs() const {
  std::vector<std::shared_ptr<HostedJob>> jobs;
  absl::MutexLock lock(&mu_);
  for (const auto& [id, job] : jobs_) jobs.push_back(job);
  return jobs;
}

void ChunkStore::ExpireWaits() {
  while (!stopper_.WaitFor(options_.hold / 8)) {
    if (held_pulls_.load(std::memory_order_relaxed) == 0) continue;
    // For want of memory it is done the next time.
    CatchExceptions([this, now = SteadyNow()] {
      for (const std::shared_ptr<HostedJob>& job : Jobs()) {
        VisitWaits(job, &lanes_, [now](WatermarkWaits& waits) { waits.Expire(now); });
      }
      return absl::OkStatus();
    }).IgnoreError();
  }
}

void ChunkStore::EndWaits() {
  for (const std::shared_ptr<HostedJob>& job : Jobs()) {
    VisitWaits(job, &lanes_, [](WatermarkWaits& waits) {
      waits.End(absl::UnavailableError("the parameter server is shutting down"));
    });
  }
}

absl::Status ChunkStore::CheckEpochLocked(uint64_t epoch) const {
  if (epoch > kMaxEpoch || (epoch > epoch_ && epoch - epoch_ > kMaxEpochStep)) {
    return absl::InvalidArgumentError(
        absl::StrCat("no coordinator has come to epoch ", epoch, "; the newest that this server has seen is ", epoch_));
  }
  if (epoch >= epoch_) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("epoch ", epoch, " is older than ", epoch_,
                   ", the newest that this server has seen: the coordinator was replaced; "
                   "join it again. If it was not, but has lost its state directory, write ",
                   epoch_, " into coordinator/epoch there, and start it again"));
}

absl::Status ChunkStore::CheckEpoch(uint64_t epoch) const {
  absl::MutexLock lock(&mu_);
  return metrics_.Refused(StoreMetrics::Refusal::kEpoch, CheckEpochLocked(epoch));
}

absl::Status ChunkStore::AdmitCoordinator(uint64_t epoch) {
  {
    absl::MutexLock lock(&mu_);
    SAMOVAR_RETURN_IF_ERROR(CheckEpochLocked(epoch));
    if (epoch == epoch_) return absl::OkStatus();
  }
  if (const absl::Status noted = snapshots_->NoteEpoch(epoch); !noted.ok()) {
    return absl::UnavailableError(
        absl::StrCat(noted.message(),
                     "; this server waits for its disk, because once it is restarted it would "
                     "obey an older coordinator"));
  }
  absl::MutexLock lock(&mu_);
  SAMOVAR_RETURN_IF_ERROR(CheckEpochLocked(epoch));
  epoch_ = epoch;
  return absl::OkStatus();
}

absl::Status ChunkStore::AdmitWorker(uint64_t epoch) const {
  absl::MutexLock lock(&mu_);
  if (epoch > epoch_) {
    return metrics_.Refused(
        StoreMetrics::Refusal::kEpoch,
        absl::FailedPreconditionError(
            absl::StrCat("epoch ", epoch, " is newer than ", epoch_,
                         ", the newest of a coordinator that has called this server; join the coordinator again")));
  }
  return metrics_.Refused(StoreMetrics::Refusal::kEpoch, CheckEpochLocked(epoch));
}

absl::StatusOr<std::shared_ptr<HostedJob>> ChunkStore::FindJob(const std::string& job_id) const {
  absl::MutexLock lock(&mu_);
  const auto found = jobs_.find(job_id);
  if (found == jobs_.end()) return absl::NotFoundError(absl::StrCat("job \"", job_id, "\" is not open on this server"));
  return found->second;
}

std::shared_ptr<HostedJob> ChunkStore::BeginOpen(const std::string& job_id) {
  absl::MutexLock lock(&mu_);
  const auto idle = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !opening_.contains(job_id); };
  mu_.Await(absl::Condition(&idle));
  const auto found = jobs_.find(job_id);
  if (found != jobs_.end()) return found->second;
  opening_.insert(job_id);
  return nullptr;
}

void ChunkStore::EndOpen(const std::string& job_id) {
  absl::MutexLock lock(&mu_);
  opening_.erase(job_id);
}

absl::Status ChunkStore::OpenNew(const v1::OpenJobRequest& request) {
  // After an exception, too, the name is free again, and nothing of the job is left.
  const absl::Cleanup release = [&] { EndOpen(request.job_id()); };
  SAMOVAR_ASSIGN_OR_RETURN(std::shared_ptr<HostedJob> job, MakeJob(request));
  absl::MutexLock lock(&mu_);
  jobs_[request.job_id()] = std::move(job);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<HostedJob>> ChunkStore::FindOpening(const std::string& job_id, uint64_t epoch,
                                                                   uint64_t opening) const {
  SAMOVAR_RETURN_IF_ERROR(CheckEpoch(epoch));
  SAMOVAR_ASSIGN_OR_RETURN(std::shared_ptr<HostedJob> job, FindJob(job_id));
  SAMOVAR_RETURN_IF_ERROR(metrics_.Refused(StoreMetrics::Refusal::kOpening, job->CheckOpening(opening)));
  return job;
}

absl::Status ChunkStore::OpenJob(const v1::OpenJobRequest& request, v1::OpenJobResponse* response) {
  SAMOVAR_RETURN_IF_ERROR(CheckJobId(request.job_id()));
  SAMOVAR_RETURN_IF_ERROR(CheckEpoch(request.epoch()));
  SAMOVAR_RETURN_IF_ERROR(CheckOpeningOf(request));
  std::shared_ptr<HostedJob> job = BeginOpen(request.job_id());
  if (job != nullptr) {
    SAMOVAR_RETURN_IF_ERROR(job->CheckSame(request));
    SAMOVAR_RETURN_IF_ERROR(job->CheckNewOpening(request.opening()));
    SAMOVAR_RETURN_IF_ERROR(AdmitCoordinator(request.epoch()));
    SAMOVAR_RETURN_IF_ERROR(job->TakeOpening(request.opening()));
    // They belong to a coordinator, or to a checkpoint, that is no more.
    job->ThawAll();
  } else {
    SAMOVAR_RETURN_IF_ERROR(OpenNew(request));
  }
  v1::GetLedgersRequest question;
  question.set_job_id(request.job_id());
  v1::GetLedgersResponse ledgers;
  SAMOVAR_RETURN_IF_ERROR(GetLedgers(question, &ledgers));
  response->mutable_ledgers()->Swap(ledgers.mutable_ledgers());
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<HostedJob>> ChunkStore::MakeJob(const v1::OpenJobRequest& request) {
  SAMOVAR_ASSIGN_OR_RETURN(std::shared_ptr<HostedJob> job, HostedJob::Create(request, &budget_));
  if (request.restore()) {
    SAMOVAR_RETURN_IF_ERROR(RestoreChunks(job.get(), request.restore_iteration()));
  } else if (!request.restore_exported().empty()) {
    const ExportedSource source = {request.restore_exported(), request.restore_exported_sha256(), request.run()};
    SAMOVAR_RETURN_IF_ERROR(Annotate(RestoreExported(request, source, options_.storage, job.get()),
                                     absl::StrCat("job \"", job->id(), "\"")));
  } else if (!request.initial_model().exported_snapshot().empty()) {
    const v1::InitialModel& initial = request.initial_model();
    const ExportedSource source = {initial.exported_snapshot(), initial.digests().empty() ? "" : initial.digests(0), 0};
    SAMOVAR_RETURN_IF_ERROR(Annotate(RestoreExported(request, source, options_.storage, job.get()),
                                     absl::StrCat("job \"", job->id(), "\"")));
  } else {
    auto initial =
        InitialValues::Read(request.initial_model(), job->layout(), job->rule().state_vectors(), options_.storage);
    SAMOVAR_RETURN_IF_ERROR(Annotate(initial.status(), absl::StrCat("job \"", job->id(), "\": initial model")));
    SAMOVAR_RETURN_IF_ERROR(Fill(job, *initial));
  }
  SAMOVAR_RETURN_IF_ERROR(job->CheckWholeUnits());
  SAMOVAR_RETURN_IF_ERROR(AdmitCoordinator(request.epoch()));
  SAMOVAR_RETURN_IF_ERROR(snapshots_->NoteShare(job->Describe()));
  return job;
}

absl::Status ChunkStore::Fill(const std::shared_ptr<HostedJob>& job, const InitialValues& initial) {
  if (initial.iteration() > job->max_iter()) {
    return absl::InvalidArgumentError(absl::StrCat("job \"", job->id(), "\": the solver's state is of iteration ",
                                                   initial.iteration(), ", beyond max_iter ", job->max_iter()));
  }
  return WalkChunks(job, &lanes_, [&job, &initial](size_t, Chunk& chunk) {
    ChunkImage& image = chunk.initial_image();
    const uint64_t begin = job->plan().begin(image.chunk);
    SAMOVAR_RETURN_IF_ERROR(FillLayoutRange(job->layout(), job->seed(), begin, image.weights));
    initial.CopyWeights(job->layout(), begin, image.weights);
    if (!AllFinite(image.weights)) {
      return absl::InvalidArgumentError(absl::StrCat("job \"", job->id(),
                                                     "\": the fillers give NaN or infinity in chunk ", image.chunk,
                                                     "; look at their std, min, max and value"));
    }
    for (size_t vector = 0; vector < image.state.size(); ++vector) {
      initial.CopyHistory(job->layout(), static_cast<int>(vector), begin, image.state[vector]);
    }
    image.ledger.AddRange(0, initial.iteration());
    image.version = initial.iteration();
    return absl::OkStatus();
  });
}

absl::Status ChunkStore::RestoreChunks(HostedJob* job, uint64_t iteration) {
  SAMOVAR_ASSIGN_OR_RETURN(v1::SnapshotManifest manifest, snapshots_->ReadManifest(job->id(), iteration));
  SAMOVAR_RETURN_IF_ERROR(job->CheckSnapshot(manifest));
  for (size_t index = 0; index < job->chunks(); ++index) {
    SAMOVAR_ASSIGN_OR_RETURN(ChunkImage image, snapshots_->ReadChunk(job->id(), iteration, job->number(index)));
    SAMOVAR_RETURN_IF_ERROR(job->Restore(index, std::move(image)));
  }
  return absl::OkStatus();
}

absl::Status ChunkStore::GetLedgers(const v1::GetLedgersRequest& request, v1::GetLedgersResponse* response) {
  SAMOVAR_ASSIGN_OR_RETURN(std::shared_ptr<HostedJob> job, FindJob(request.job_id()));
  std::vector<v1::ChunkLedger> ledgers(job->chunks());
  std::vector<v1::PushCounters> counters(job->chunks());
  SAMOVAR_RETURN_IF_ERROR(WalkChunks(job, &lanes_, [&](size_t index, Chunk& chunk) {
    ledgers[index].set_chunk(chunk.image().chunk);
    *ledgers[index].mutable_ledger() = chunk.image().ledger.ToProto();
    counters[index] = chunk.counters();
    return absl::OkStatus();
  }));
  for (v1::ChunkLedger& ledger : ledgers) response->add_ledgers()->Swap(&ledger);
  for (const v1::PushCounters& counter : counters) AddCounters(counter, response->mutable_counters());
  return absl::OkStatus();
}

absl::Status ChunkStore::Freeze(const v1::FreezeRequest& request) {
  SAMOVAR_ASSIGN_OR_RETURN(std::shared_ptr<HostedJob> job,
                           FindOpening(request.job_id(), request.epoch(), request.opening()));
  SAMOVAR_RETURN_IF_ERROR(AdmitCoordinator(request.epoch()));
  if (!job->BeginFreeze(request.iteration())) return absl::OkStatus();
  const absl::Cleanup end = [&job] { job->EndFreeze(); };
  auto copy = std::make_shared<FrozenCopy>();
  auto memory = budget_.Reserve(job->bytes());
  if (!memory.ok()) {
    return Annotate(memory.status(), absl::StrCat("freezing job \"", job->id(), "\" as ", request.iteration()));
  }
  copy->memory = *std::move(memory);
  copy->chunks.resize(job->chunks());
  SAMOVAR_RETURN_IF_ERROR(WalkChunks(job, &lanes_, [&copy](size_t index, Chunk& chunk) {
    copy->chunks[index] = chunk.image();
    return absl::OkStatus();
  }));
  job->AddFrozen(request.iteration(), std::move(copy));
  return absl::OkStatus();
}

absl::Status ChunkStore::Persist(const v1::PersistRequest& request, v1::PersistResponse* response) {
  SAMOVAR_ASSIGN_OR_RETURN(std::shared_ptr<HostedJob> job,
                           FindOpening(request.job_id(), request.epoch(), request.opening()));
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<const FrozenCopy> copy, FindFrozen(*job, request.iteration()));
  SAMOVAR_RETURN_IF_ERROR(AdmitCoordinator(request.epoch()));
  SAMOVAR_ASSIGN_OR_RETURN(const uint64_t bytes, WriteSnapshot(*job, request.iteration(), copy->chunks));
  response->set_bytes(bytes);
  return absl::OkStatus();
}

absl::Status ChunkStore::RetainSnapshots(const v1::RetainSnapshotsRequest& request,
                                         v1::RetainSnapshotsResponse* response) {
  SAMOVAR_RETURN_IF_ERROR(CheckJobId(request.job_id()));
  SAMOVAR_RETURN_IF_ERROR(CheckEpoch(request.epoch()));
  if (const auto open = FindJob(request.job_id()); open.ok()) {
    SAMOVAR_RETURN_IF_ERROR(
        metrics_.Refused(StoreMetrics::Refusal::kOpening, (*open)->CheckOpening(request.opening())));
    if (request.keep().empty()) {
      return absl::FailedPreconditionError(
          absl::StrCat("job \"", request.job_id(), "\" is open here, and would have no snapshot left"));
    }
  }
  SAMOVAR_RETURN_IF_ERROR(AdmitCoordinator(request.epoch()));
  std::set<SnapshotStore::SnapshotId> keep;
  for (const v1::SnapshotName& name : request.keep()) keep.emplace(name.run(), name.iteration());
  SAMOVAR_ASSIGN_OR_RETURN(const uint32_t removed, snapshots_->Retain(request.job_id(), keep));
  response->set_removed(removed);
  return absl::OkStatus();
}

absl::Status ChunkStore::Export(const v1::ExportRequest& request, v1::ExportResponse* response) {
  SAMOVAR_ASSIGN_OR_RETURN(std::shared_ptr<HostedJob> job,
                           FindOpening(request.job_id(), request.epoch(), request.opening()));
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<const FrozenCopy> copy, FindFrozen(*job, request.iteration()));
  SAMOVAR_ASSIGN_OR_RETURN(*response->mutable_file(),
                           ExportShare(request.directory(), job->Describe(), copy->chunks, options_.storage));
  return absl::OkStatus();
}

absl::Status ChunkStore::SaveJobs() {
  absl::Status first;
  for (const std::shared_ptr<HostedJob>& job : Jobs()) {
    if (job->in_order() || job->chunks() == 0) continue;
    const absl::Status saved = SaveJob(job);
    if (first.ok()) first = saved;
  }
  return first;
}

absl::Status ChunkStore::SaveJob(const std::shared_ptr<HostedJob>& job) {
  SAMOVAR_ASSIGN_OR_RETURN(const MemoryBudget::Reservation memory, budget_.Reserve(job->bytes()));
  std::vector<ChunkImage> images(job->chunks());
  SAMOVAR_RETURN_IF_ERROR(WalkChunks(job, &lanes_, [&images](size_t index, Chunk& chunk) {
    images[index] = chunk.image();
    return absl::OkStatus();
  }));
  uint64_t held = Ledger::kMaxEnd;
  for (const ChunkImage& image : images) held = std::min(held, image.ledger.watermark());
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<v1::SnapshotInfo> snapshots, snapshots_->List(job->id()));
  const uint64_t run = job->Describe().run();
  const bool newer = std::any_of(snapshots.begin(), snapshots.end(), [&](const v1::SnapshotInfo& info) {
    return info.run() == run && info.iteration() >= held;
  });
  if (newer || held == 0) return absl::OkStatus();
  return WriteSnapshot(*job, held, images).status();
}

absl::StatusOr<uint64_t> ChunkStore::WriteSnapshot(const HostedJob& job, uint64_t iteration,
                                                   const std::vector<ChunkImage>& images) {
  const LogScope scope({job.id(), iteration});
  const absl::Time began = SteadyNow();
  absl::StatusOr<uint64_t> bytes = snapshots_->Write(job.MakeManifest(iteration), images);
  metrics_.CountSnapshot(SteadyNow() - began, bytes);
  if (!bytes.ok()) {
    LogWarning(absl::StrCat("job ", job.id(), ": the snapshot at iteration ", iteration,
                            " could not be written: ", bytes.status().message()));
  }
  return bytes;
}

void ChunkStore::WriteTo(v1::ServerFigures* figures) const {
  for (const std::shared_ptr<HostedJob>& job : Jobs()) {
    figures->set_jobs(figures->jobs() + 1);
    figures->set_chunks(figures->chunks() + job->chunks());
  }
  figures->set_parameter_bytes(budget_.used());
  figures->set_max_parameter_bytes(options_.max_parameter_bytes);
  figures->set_message_bytes(messages_.used());
  figures->set_max_message_bytes(options_.max_message_bytes);
}

absl::Status ChunkStore::Thaw(const v1::ThawRequest& request) {
  SAMOVAR_ASSIGN_OR_RETURN(std::shared_ptr<HostedJob> job,
                           FindOpening(request.job_id(), request.epoch(), request.opening()));
  SAMOVAR_RETURN_IF_ERROR(AdmitCoordinator(request.epoch()));
  job->Thaw(request.iteration());
  return absl::OkStatus();
}

absl::Status ChunkStore::ListSnapshots(const v1::ListSnapshotsRequest& request, v1::ListSnapshotsResponse* response) {
  if (!request.job_id().empty()) SAMOVAR_RETURN_IF_ERROR(CheckJobId(request.job_id()));
  SAMOVAR_ASSIGN_OR_RETURN(std::vector<v1::SnapshotInfo> snapshots, snapshots_->List(request.job_id()));
  for (v1::SnapshotInfo& info : snapshots) response->add_snapshots()->Swap(&info);
  if (request.job_id().empty()) {
    SAMOVAR_ASSIGN_OR_RETURN(std::vector<v1::SnapshotInfo> shares, snapshots_->LastShares());
    for (v1::SnapshotInfo& share : shares) response->add_last_shares()->Swap(&share);
    return absl::OkStatus();
  }
  const auto open = FindJob(request.job_id());
  if (open.ok()) *response->mutable_open() = (*open)->Describe();
  SAMOVAR_ASSIGN_OR_RETURN(const std::optional<v1::SnapshotInfo> share, snapshots_->LastShare(request.job_id()));
  if (share.has_value()) *response->mutable_last_share() = *share;
  return absl::OkStatus();
}

absl::Status ChunkStore::Skip(const v1::SkipRequest& request, v1::SkipResponse* response) {
  SAMOVAR_RETURN_IF_ERROR(AdmitWorker(request.epoch()));
  SAMOVAR_ASSIGN_OR_RETURN(std::shared_ptr<HostedJob> job, FindJob(request.job_id()));
  SAMOVAR_RETURN_IF_ERROR(metrics_.Refused(StoreMetrics::Refusal::kOpening, job->CheckOpening(request.opening())));
  if (request.iteration() >= job->max_iter()) {
    return absl::InvalidArgumentError(absl::StrCat("iteration ", request.iteration(), " is not one of job \"",
                                                   job->id(), "\", which has max_iter ", job->max_iter()));
  }
  std::vector<char> skipped(job->chunks());
  SAMOVAR_RETURN_IF_ERROR(WalkChunks(job, &lanes_, [&](size_t index, Chunk& chunk) {
    const absl::StatusOr<bool> entered =
        chunk.Skip(request.iteration(), PartRange(request.part(), std::max(1u, request.part_count())));
    if (!entered.ok()) return entered.status();
    skipped[index] = *entered ? 1 : 0;
    job->waits(index).Reached(chunk.stage());
    return absl::OkStatus();
  }));
  const auto taken = static_cast<uint32_t>(std::count(skipped.begin(), skipped.end(), 1));
  metrics_.CountSkipped(taken);
  response->set_skipped(taken);
  response->set_duplicates(static_cast<uint32_t>(skipped.size()) - taken);
  return absl::OkStatus();
}

void ChunkStore::Exchange(std::shared_ptr<ExchangeCall> call, std::function<void(std::shared_ptr<ExchangeCall>)> done) {
  std::make_shared<ExchangeOperation>(this, std::move(call), std::move(done))->Start();
}

std::shared_ptr<HostedJob> ChunkStore::FindToClose(const v1::CloseJobRequest& request) const {
  const auto idle = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !opening_.contains(request.job_id()); };
  mu_.Await(absl::Condition(&idle));
  const auto found = jobs_.find(request.job_id());
  if (found == jobs_.end()) return nullptr;
  // It was opened after the call was made, which has been under way for long.
  if (request.before_opening() != 0 && found->second->opening() >= request.before_opening()) return nullptr;
  return found->second;
}

absl::Status ChunkStore::CloseJob(const v1::CloseJobRequest& request) {
  SAMOVAR_RETURN_IF_ERROR(CheckEpoch(request.epoch()));
  std::shared_ptr<HostedJob> job;
  {
    absl::MutexLock lock(&mu_);
    job = FindToClose(request);
  }
  if (job == nullptr) return absl::OkStatus();
  SAMOVAR_RETURN_IF_ERROR(AdmitCoordinator(request.epoch()));
  {
    absl::MutexLock lock(&mu_);
    // Another call may have closed it meanwhile, and a third opened it again.
    if (FindToClose(request) != job) return absl::OkStatus();
    jobs_.erase(request.job_id());
  }
  // Requests that wait for the job's chunks hold the job.
  VisitWaits(job, &lanes_, [id = job->id()](WatermarkWaits& waits) {
    waits.End(absl::NotFoundError(absl::StrCat("job \"", id, "\" was closed on this server")));
  });
  // Requests that are being worked on hold it a moment longer. A coordinator that closes a job may open the next at
  // once, and must find the memory free.
  const std::weak_ptr<HostedJob> held = job;
  job.reset();
  const absl::Time deadline = SteadyNow() + kReleaseTimeout;
  while (!held.expired() && SteadyNow() < deadline && !stopper_.WaitFor(kReleaseTick)) {
  }
  return absl::OkStatus();
}

}  // namespace samovar
