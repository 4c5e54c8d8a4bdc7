#include "server/store/hosted_job.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/model/layout.h"
#include "common/model/push_units.h"

namespace samovar {
namespace {

constexpr uint32_t kSnapshotFormat = 1;

absl::StatusOr<std::vector<uint32_t>> SortedChunks(const v1::OpenJobRequest& request, const ChunkPlan& plan) {
  std::vector<uint32_t> numbers(request.chunks().begin(), request.chunks().end());
  std::sort(numbers.begin(), numbers.end());
  if (!numbers.empty() && numbers.back() >= plan.chunks()) {
    return absl::InvalidArgumentError(absl::StrCat("job \"", request.job_id(), "\": chunk ", numbers.back(),
                                                   " does not exist; the model has ", plan.chunks(), " chunks"));
  }
  const auto twice = std::adjacent_find(numbers.begin(), numbers.end());
  if (twice != numbers.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("job \"", request.job_id(), "\": chunk ", *twice, " is listed twice"));
  }
  return numbers;
}

}  // namespace

absl::Status CheckJobId(const std::string& job_id) {
  if (job_id.empty()) return absl::InvalidArgumentError("job_id is empty");
  if (job_id.size() > kMaxJobIdBytes || job_id.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("job_id must be at most ", kMaxJobIdBytes, " bytes long and have no zero byte"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<HostedJob>> HostedJob::Create(const v1::OpenJobRequest& request, MemoryBudget* budget) {
  SAMOVAR_RETURN_IF_ERROR(CheckJobId(request.job_id()));
  const std::string context = absl::StrCat("job \"", request.job_id(), "\"");
  SAMOVAR_RETURN_IF_ERROR(Annotate(CheckLayout(request.layout()), context));
  auto plan = ChunkPlan::Create(request.layout().elements(), request.chunk_elements(), request.servers());
  if (!plan.ok()) return Annotate(plan.status(), context);
  if (request.share() >= request.servers()) {
    return absl::InvalidArgumentError(
        absl::StrCat(context, ": share ", request.share(), " is not below servers, ", request.servers()));
  }
  SAMOVAR_RETURN_IF_ERROR(Annotate(CheckConsistency(request.consistency(), request.solver()), context));
  SAMOVAR_ASSIGN_OR_RETURN(std::vector<uint32_t> numbers, SortedChunks(request, *plan));
  auto rule = SolverRule::Create(request.solver());
  if (!rule.ok()) return Annotate(rule.status(), context);

  std::shared_ptr<HostedJob> job(new HostedJob(request, *plan, std::move(numbers), std::move(*rule)));
  const uint64_t beside = job->floats() * sizeof(float) * job->FloatsBesideImage();
  auto memory = budget->Reserve(job->bytes_ + beside);
  if (!memory.ok()) return Annotate(memory.status(), context);
  job->memory_ = std::move(*memory);
  for (uint32_t number : job->numbers_) {
    ChunkImage image;
    image.chunk = number;
    image.weights.resize(plan->size(number));
    image.state.assign(job->rule_->state_vectors(), std::vector<float>(plan->size(number)));
    job->chunks_.push_back(job->MakeChunk(std::move(image)));
  }
  return job;
}

HostedJob::HostedJob(const v1::OpenJobRequest& request, ChunkPlan plan, std::vector<uint32_t> numbers,
                     std::unique_ptr<const SolverRule> rule)
    : request_(request),
      plan_(plan),
      numbers_(std::move(numbers)),
      rule_(std::move(rule)),
      bytes_(CountBytes()),
      waits_(numbers_.size()),
      opening_(request.opening()) {}

std::unique_ptr<Chunk> HostedJob::MakeChunk(ChunkImage image) const {
  const uint64_t begin = plan_.begin(image.chunk);
  const uint64_t end = begin + plan_.size(image.chunk);
  Chunk::Options options;
  options.parts = PartsOf(request_.consistency());
  if (clips()) options.clip = {request_.solver().clip_gradients(), std::max(1, request_.solver().iter_size())};
  options.plain = request_.consistency().staleness_scaling() == v1::STALENESS_SCALING_NONE;
  options.delay_compensation = request_.consistency().delay_compensation();
  options.push_every = push_every();
  return std::make_unique<Chunk>(std::move(image), BuildSegments(layout(), begin, end), options);
}

uint64_t HostedJob::FloatsBesideImage() const {
  const uint32_t parts = PartsOf(request_.consistency());
  if (parts == 0) return request_.consistency().delay_compensation() > 0 ? PastWeights::kVersions : 0;
  // The weights before the last update; and the parts that wait for others, which are half of them at most, since two
  // that are halves of a subtree are added up.
  return 1 + (parts > 1 ? (parts + 1) / 2 : 0);
}

uint64_t HostedJob::floats() const {
  uint64_t floats = 0;
  for (uint32_t number : numbers_) floats += plan_.size(number);
  return floats;
}

uint64_t HostedJob::CountBytes() const {
  const uint64_t steps = rule_->spreads_steps() && !in_order() ? 1 : 0;
  return floats() * sizeof(float) * (1 + rule_->state_vectors() + steps);
}

absl::Status HostedJob::CheckSame(const v1::OpenJobRequest& request) const {
  const auto differs = [&](const std::string& what) {
    return absl::FailedPreconditionError(absl::StrCat("job \"", id(), "\" is open here with ", what,
                                                      "; close it first, or give the new job another id"));
  };
  if (request.layout().SerializeAsString() != layout().SerializeAsString()) return differs("another layout");
  if (request.chunk_elements() != plan_.chunk_elements()) return differs("another chunk size");
  std::vector<uint32_t> numbers(request.chunks().begin(), request.chunks().end());
  std::sort(numbers.begin(), numbers.end());
  if (numbers != numbers_) return differs("other chunks");
  if (request.solver().SerializeAsString() != request_.solver().SerializeAsString()) return differs("another solver");
  if (request.seed() != seed()) return differs("another seed");
  if (request.run() != request_.run()) return differs("weights of another run");
  if (request.consistency().SerializeAsString() != request_.consistency().SerializeAsString())
    return differs(absl::StrCat("another mode: ", ConsistencyText(request_.consistency())));
  if (request.initial_model().SerializeAsString() != request_.initial_model().SerializeAsString()) {
    return differs("another initial model");
  }
  return absl::OkStatus();
}

absl::Status HostedJob::CheckNewOpeningLocked(uint64_t opening) const {
  if (opening >= opening_) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("job \"", id(), "\" is open here as opening ", opening_,
                                                    ", which is newer than ", opening,
                                                    "; its coordinator has opened it again since"));
}

absl::Status HostedJob::CheckNewOpening(uint64_t opening) const {
  absl::MutexLock lock(&mu_);
  return CheckNewOpeningLocked(opening);
}

absl::Status HostedJob::TakeOpening(uint64_t opening) {
  absl::MutexLock lock(&mu_);
  SAMOVAR_RETURN_IF_ERROR(CheckNewOpeningLocked(opening));
  opening_ = opening;
  return absl::OkStatus();
}

uint64_t HostedJob::opening() const {
  absl::MutexLock lock(&mu_);
  return opening_;
}

absl::Status HostedJob::CheckOpening(uint64_t opening) const {
  absl::MutexLock lock(&mu_);
  if (opening == 0 || opening_ == 0 || opening == opening_) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the call is of opening ", opening, " of job \"", id(), "\", which is open here as ", opening_,
                   ": its servers began again since, perhaps with other weights; ask the "
                   "coordinator for the assignment, and compute the iteration again"));
}

absl::Status HostedJob::CheckSnapshot(const v1::SnapshotManifest& manifest) const {
  const v1::SnapshotInfo& info = manifest.info();
  const auto differs = [&](const std::string& what) {
    return absl::FailedPreconditionError(absl::StrCat("snapshot ", info.iteration(), " of job \"", id(), "\" ", what));
  };
  if (manifest.format() != kSnapshotFormat) {
    return differs(absl::StrCat("has format ", manifest.format(), "; this server reads format ", kSnapshotFormat));
  }
  if (LayoutFingerprint(manifest.layout()) != LayoutFingerprint(layout())) {
    return differs("is of another net: its layers or their shapes differ; restore with the net that wrote it");
  }
  if (info.chunk_elements() != plan_.chunk_elements()) {
    return differs(
        absl::StrCat("has chunks of ", info.chunk_elements(), " floats, the job of ", plan_.chunk_elements()));
  }
  if (!std::equal(numbers_.begin(), numbers_.end(), manifest.chunks().begin(), manifest.chunks().end())) {
    return differs(absl::StrCat("was written as server ", info.share(), " of ", info.servers(),
                                ", which held other chunks than this one is to hold as server ", request_.share(),
                                " of ", request_.servers(),
                                "; restore with the same number of servers, each with its own state"));
  }
  return absl::OkStatus();
}

absl::Status HostedJob::Restore(size_t index, ChunkImage image) {
  const uint32_t number = numbers_[index];
  const size_t size = plan_.size(number);
  const std::string context = absl::StrCat("stored chunk ", number, " of job \"", id(), "\"");
  if (image.state.size() != static_cast<size_t>(rule_->state_vectors())) {
    return absl::FailedPreconditionError(
        absl::StrCat(context, " has ", image.state.size(), " solver state vectors, the job's solver keeps ",
                     rule_->state_vectors(), "; restore with the solver type that wrote it"));
  }
  bool fits = image.chunk == number && image.weights.size() == size;
  for (const std::vector<float>& state : image.state) fits = fits && state.size() == size;
  if (!fits) return absl::DataLossError(absl::StrCat(context, " does not have ", size, " floats"));
  // Another solver wrote them.
  if (!rule_->spreads_steps()) image.lateness.steps.clear();
  chunks_[index] = MakeChunk(std::move(image));
  return absl::OkStatus();
}

absl::Status HostedJob::CheckWholeUnits() const {
  for (const std::unique_ptr<Chunk>& chunk : chunks_) {
    for (const IterationRange& missing : chunk->image().ledger.Missing(0, max_iter())) {
      for (const uint64_t end : {missing.begin, missing.end}) {
        if (BetweenUnits(end, push_every(), max_iter())) continue;
        return absl::FailedPreconditionError(absl::StrCat(
            "job \"", id(), "\" begins with weights that hold iterations up to ", end,
            ", which is no multiple of push_every ", push_every(), "; choose one that divides ", end, ", or 1"));
      }
    }
  }
  return absl::OkStatus();
}

v1::SnapshotManifest HostedJob::MakeManifest(uint64_t iteration) const {
  v1::SnapshotManifest manifest;
  manifest.set_format(kSnapshotFormat);
  *manifest.mutable_info() = Describe();
  manifest.mutable_info()->set_iteration(iteration);
  for (uint32_t number : numbers_) manifest.add_chunks(number);
  *manifest.mutable_layout() = layout();
  return manifest;
}

v1::SnapshotInfo HostedJob::Describe() const {
  v1::SnapshotInfo info;
  info.set_job_id(id());
  info.set_chunk_elements(plan_.chunk_elements());
  info.set_servers(request_.servers());
  info.set_share(request_.share());
  info.set_run(request_.run());
  return info;
}

std::optional<size_t> HostedJob::IndexOf(uint32_t number) const {
  const auto found = std::lower_bound(numbers_.begin(), numbers_.end(), number);
  if (found == numbers_.end() || *found != number) return std::nullopt;
  return static_cast<size_t>(found - numbers_.begin());
}

std::shared_ptr<const FrozenCopy> HostedJob::frozen(uint64_t iteration) const {
  absl::MutexLock lock(&mu_);
  const auto found = frozen_.find(iteration);
  return found == frozen_.end() ? nullptr : found->second;
}

bool HostedJob::BeginFreeze(uint64_t iteration) {
  absl::MutexLock lock(&mu_);
  const auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !freezing_; };
  mu_.Await(absl::Condition(&idle));
  if (frozen_.contains(iteration)) return false;
  freezing_ = true;
  return true;
}

void HostedJob::AddFrozen(uint64_t iteration, std::shared_ptr<const FrozenCopy> copy) {
  absl::MutexLock lock(&mu_);
  frozen_[iteration] = std::move(copy);
}

void HostedJob::EndFreeze() {
  absl::MutexLock lock(&mu_);
  freezing_ = false;
}

void HostedJob::Thaw(uint64_t iteration) {
  // Released after the lock: the copy may be large.
  std::shared_ptr<const FrozenCopy> copy;
  absl::MutexLock lock(&mu_);
  const auto found = frozen_.find(iteration);
  if (found == frozen_.end()) return;
  copy = std::move(found->second);
  frozen_.erase(found);
}

void HostedJob::ThawAll() {
  std::map<uint64_t, std::shared_ptr<const FrozenCopy>> copies;
  absl::MutexLock lock(&mu_);
  const auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !freezing_; };
  mu_.Await(absl::Condition(&idle));
  copies.swap(frozen_);
}

}  // namespace samovar
