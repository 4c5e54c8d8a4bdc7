#include "server/coordinator/job.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"
#include "common/model/layout.h"
#include "common/parameters/late_gradients.h"
#include "server/coordinator/lease_table.h"
#include "server/coordinator/part_table.h"
#include "server/store/learning_rate.h"

namespace samovar {
namespace {

constexpr uint64_t kNever = Ledger::kMaxEnd;
// Test leases have this bit, the training's have not.
constexpr uint64_t kTestLease = uint64_t{1} << 63;
// Failures of workers, with no iteration or test done in between, after which the job fails.
constexpr int kMaxFailuresInARow = 20;
// The rate shown is that of the last seconds.
constexpr absl::Duration kRateSpan = absl::Seconds(10);
constexpr absl::Duration kMarkEvery = absl::Milliseconds(200);
constexpr size_t kMaxJobIdLength = 64;

// The first multiple of `interval` above t; kNever if the interval is 0.
uint64_t NextMultiple(int64_t interval, uint64_t t) {
  if (interval <= 0) return kNever;
  const uint64_t step = static_cast<uint64_t>(interval);
  return (t / step + 1) * step;
}

absl::Status CheckDataset(const v1::DatasetSpec& data, const std::string& name) {
  // A net without a data layer has no records.
  if (data.uri().empty() != (data.records() == 0) || data.batch_size() == 0 || data.partitions() == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": batch_size and partitions must be set, and both of uri and records or neither"));
  }
  return absl::OkStatus();
}

uint64_t SamplesOfIteration(const v1::JobSpec& spec) {
  return static_cast<uint64_t>(spec.solver().iter_size()) * spec.train_data().batch_size();
}

// Adds a part's outputs and loss to those of the parts before.
void AddPart(const v1::TrainResult& part, v1::TrainResult* sum) {
  sum->set_iteration(part.iteration());
  sum->set_loss(sum->loss() + part.loss());
  if (sum->outputs_size() < part.outputs_size()) sum->mutable_outputs()->Resize(part.outputs_size(), 0);
  for (int i = 0; i < part.outputs_size(); ++i) sum->set_outputs(i, sum->outputs(i) + part.outputs(i));
}

// All records of the test net's data; of a net without data, test_iter batches.
v1::DatasetSpec TestedData(const v1::JobSpec& spec, int net) {
  v1::DatasetSpec data = spec.test_data(net);
  if (data.records() != 0) return data;
  const int batches = net < spec.solver().test_iter_size() ? std::max(1, spec.solver().test_iter(net)) : 1;
  data.set_records(static_cast<uint64_t>(batches) * data.batch_size());
  return data;
}

// REQUIRES: the training data was checked
absl::Status CheckMode(const v1::JobSpec& spec) {
  if (!v1::ConsistencyMode_IsValid(spec.mode())) {
    return absl::InvalidArgumentError(
        absl::StrCat("mode ", static_cast<int>(spec.mode()), " is none that this coordinator knows"));
  }
  if (!v1::Encoding_IsValid(spec.encoding())) {
    return absl::InvalidArgumentError(
        absl::StrCat("encoding ", static_cast<int>(spec.encoding()), " is none that this coordinator knows"));
  }
  const bool sparse = spec.encoding() == v1::ENCODING_SPARSE;
  const bool has_ratio = spec.topk_ratio() > 0 && spec.topk_ratio() <= 1;
  if (sparse ? !has_ratio : spec.topk_ratio() != 0) {
    return absl::InvalidArgumentError(absl::StrCat("topk_ratio must be above 0 and at most 1 with ENCODING_SPARSE, and 0 otherwise, not ",
                                                   spec.topk_ratio()));
  }
  if (sparse && spec.mode() == v1::CONSISTENCY_SYNC) {
    return absl::InvalidArgumentError(
        "ENCODING_SPARSE keeps parts of gradients at the worker that computed them, so that the model depends on who computes what; "
        "CONSISTENCY_SYNC promises that it does not");
  }
  if (spec.delay() != 0 && spec.mode() != v1::CONSISTENCY_BOUNDED) {
    return absl::InvalidArgumentError("delay is for the mode CONSISTENCY_BOUNDED only");
  }
  SAMOVAR_RETURN_IF_ERROR(CheckLateGradients(spec.staleness_scaling(), spec.delay_compensation(), OrderedParts(spec) > 0));
  const bool sync = spec.mode() == v1::CONSISTENCY_SYNC;
  if (sync != (spec.parts() != 0)) {
    return absl::InvalidArgumentError("parts must be at least 1 in the mode CONSISTENCY_SYNC, and 0 in others");
  }
  if (!sync || spec.train_data().batch_size() % spec.parts() == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("parts ", spec.parts(), " must divide the batch of ",
                                                 spec.train_data().batch_size(), " records"));
}

}  // namespace

uint32_t OrderedParts(const v1::JobSpec& spec) {
  if (spec.mode() == v1::CONSISTENCY_SYNC) return spec.parts();
  return spec.mode() == v1::CONSISTENCY_BOUNDED && spec.delay() == 0 ? 1 : 0;
}

absl::Status CheckJobSpec(const v1::JobSpec& spec) {
  const std::string& id = spec.job_id();
  const bool id_ok = !id.empty() && id.size() <= kMaxJobIdLength && std::all_of(id.begin(), id.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
  });
  if (!id_ok) {
    return absl::InvalidArgumentError(
        absl::StrCat("job id \"", id.substr(0, 2 * kMaxJobIdLength), "\": use 1 to 64 letters, digits, '-', '_' and '.'"));
  }
  if (spec.solver().max_iter() <= 0) return absl::InvalidArgumentError("solver.max_iter must be at least 1");
  if (spec.solver().iter_size() <= 0) return absl::InvalidArgumentError("solver.iter_size must be at least 1");
  if (spec.servers() == 0) return absl::InvalidArgumentError("servers must be at least 1");
  SAMOVAR_RETURN_IF_ERROR(CheckLearningRate(spec.solver()));
  SAMOVAR_RETURN_IF_ERROR(CheckLayout(spec.layout()));
  SAMOVAR_RETURN_IF_ERROR(CheckDataset(spec.train_data(), "train_data"));
  SAMOVAR_RETURN_IF_ERROR(CheckMode(spec));
  if (spec.test_nets_size() != spec.test_data_size() || spec.test_nets_size() != spec.test_outputs_size()) {
    return absl::InvalidArgumentError("test_nets, test_data and test_outputs must have one entry each a test net");
  }
  for (int i = 0; i < spec.test_data_size(); ++i) {
    SAMOVAR_RETURN_IF_ERROR(CheckDataset(spec.test_data(i), absl::StrCat("test_data ", i)));
  }
  return absl::OkStatus();
}

std::string StateName(v1::JobState state) {
  return std::string(absl::StripPrefix(v1::JobState_Name(state), "JOB_STATE_"));
}

Job::Job(v1::JobSpec spec) : spec_(std::move(spec)), next_test_lease_(kTestLease + 1) {}

void Job::SetCause(const std::string& cause) {
  absl::MutexLock lock(&mu_);
  // What a queued job waits for. The cause of its end stays: the runner may not have noticed yet that it was cancelled.
  if (state_ != v1::JOB_STATE_QUEUED || cause == cause_) return;
  cause_ = cause;
  Changed();
}

void Job::Start(Plan plan, absl::Time now) {
  absl::MutexLock lock(&mu_);
  if (state_ != v1::JOB_STATE_QUEUED) return;
  state_ = v1::JOB_STATE_RUNNING;
  cause_.clear();
  TrainLeases::Options options;
  options.max_iter = max_iter();
  if (spec_.mode() == v1::CONSISTENCY_BOUNDED) options.delay = spec_.delay();
  if (const uint32_t parts = OrderedParts(spec_); parts > 0) {
    leases_ = std::make_unique<PartTable>(options, parts, plan.done);
  } else {
    leases_ = std::make_unique<LeaseTable>(options, plan.done);
  }
  const uint64_t begin = plan.done.watermark();
  const caffe::SolverParameter& solver = spec_.solver();
  const bool test_first = begin == 0 && solver.test_initialization() && solver.test_interval() > 0;
  next_snapshot_ = NextMultiple(solver.snapshot(), begin);
  next_test_ = spec_.test_nets_size() == 0 ? kNever : test_first ? 0 : NextMultiple(solver.test_interval(), begin);
  plan_ = std::move(plan);
  started_ = now;
  marks_.push_back({now, leases_->done().size()});
  UpdateLimit();
  Changed();
}

void Job::UpdateLimit() {
  if (OrderedParts(spec_) > 0) return leases_->SetLimit(std::min(next_snapshot_, next_test_));
  const caffe::SolverParameter& solver = spec_.solver();
  uint64_t limit = std::min(NextMultiple(solver.snapshot(), next_snapshot_),
                            next_test_ == kNever ? kNever : NextMultiple(solver.test_interval(), next_test_));
  // The first test is of the initial weights.
  if (next_test_ == 0) limit = 0;
  leases_->SetLimit(limit);
}

std::optional<Job::Checkpoint> Job::DueCheckpoint() const {
  if (state_ != v1::JOB_STATE_RUNNING || checkpoint_active_) return std::nullopt;
  if (verified_) return Checkpoint{max_iter(), true, spec_.test_nets_size() > 0};
  const uint64_t due = std::min(next_snapshot_, next_test_);
  if (due > leases_->done().watermark() || due >= max_iter()) return std::nullopt;
  return Checkpoint{due, due == next_snapshot_, due == next_test_};
}

bool Job::HasWork() const {
  if (state_ != v1::JOB_STATE_RUNNING) return true;
  if (!verified_ && leases_->complete()) return true;
  if (DueCheckpoint().has_value()) return true;
  return checkpoint_active_ && std::all_of(passes_.begin(), passes_.end(), [](const TestPass& pass) { return pass.complete(); });
}

void Job::AwaitWork(absl::Duration time) {
  absl::MutexLock lock(&mu_);
  mu_.AwaitWithTimeout(absl::Condition(this, &Job::HasWork), time);
}

std::optional<Job::Checkpoint> Job::TakeCheckpoint() {
  absl::MutexLock lock(&mu_);
  const std::optional<Checkpoint> due = DueCheckpoint();
  if (due.has_value()) checkpoint_active_ = true;
  return due;
}

void Job::CheckpointFrozen(const Checkpoint& checkpoint, uint64_t workers) {
  absl::MutexLock lock(&mu_);
  if (checkpoint.iteration == next_snapshot_) next_snapshot_ = NextMultiple(spec_.solver().snapshot(), next_snapshot_);
  if (checkpoint.iteration == next_test_) next_test_ = NextMultiple(spec_.solver().test_interval(), next_test_);
  UpdateLimit();
  if (!checkpoint.test) return;
  for (int net = 0; net < spec_.test_nets_size(); ++net) {
    passes_.emplace_back(checkpoint.iteration, static_cast<uint32_t>(net), TestedData(spec_, net), spec_.test_outputs(net), workers);
  }
}

void Job::SnapshotEnded(uint64_t iteration, const absl::Status& status) {
  absl::MutexLock lock(&mu_);
  if (status.ok()) {
    figures_.add_snapshots(iteration);
    figures_.clear_snapshot_error();
  } else {
    figures_.set_snapshot_error(absl::StrCat("snapshot at iteration ", iteration, ": ", status.message()));
  }
  Changed();
}

bool Job::TestsDone() const {
  absl::MutexLock lock(&mu_);
  return std::all_of(passes_.begin(), passes_.end(), [](const TestPass& pass) { return pass.complete(); });
}

void Job::CheckpointEnded() {
  absl::MutexLock lock(&mu_);
  for (const TestPass& pass : passes_) {
    test_speculative_ += pass.speculative();
    test_speculative_wasted_ += pass.speculative_wasted();
  }
  passes_.clear();
  checkpoint_active_ = false;
}

bool Job::AwaitsVerification() const {
  absl::MutexLock lock(&mu_);
  return state_ == v1::JOB_STATE_RUNNING && !verified_ && leases_->complete();
}

void Job::Verified(const Ledger& held_by_all, const v1::LedgerSummary& summary) {
  absl::MutexLock lock(&mu_);
  *figures_.mutable_ledger() = summary;
  const std::vector<IterationRange> missing = held_by_all.Missing(0, max_iter());
  if (missing.empty()) {
    verified_ = true;
  } else {
    leases_->AddMissing(missing);
    part_sums_.clear();
  }
  Changed();
}

void Job::TakeCounters(const v1::PushCounters& counters) {
  absl::MutexLock lock(&mu_);
  *figures_.mutable_ledger()->mutable_counters() = counters;
  Changed();
}

void Job::EndLocked(v1::JobState state, const std::string& cause, absl::Time now) {
  if (state_ != v1::JOB_STATE_QUEUED && state_ != v1::JOB_STATE_RUNNING) return;
  state_ = state;
  cause_ = cause;
  if (leases_ == nullptr) started_ = now;
  ended_at_ = now;
  Changed();
}

void Job::End(v1::JobState state, const std::string& cause, absl::Time now) {
  absl::MutexLock lock(&mu_);
  EndLocked(state, cause, now);
}

bool Job::ended() const {
  absl::MutexLock lock(&mu_);
  return state_ != v1::JOB_STATE_QUEUED && state_ != v1::JOB_STATE_RUNNING;
}

std::optional<v1::WorkLease> Job::Lease(uint64_t worker, uint64_t workers, absl::Time now) {
  absl::MutexLock lock(&mu_);
  if (state_ != v1::JOB_STATE_RUNNING) return std::nullopt;
  v1::WorkLease answer;
  answer.set_job_id(id());
  answer.set_epoch(plan_.epoch);
  for (TestPass& pass : passes_) {
    if (const auto slice = pass.Acquire(next_test_lease_, worker, now)) {
      answer.set_lease_id(next_test_lease_++);
      *answer.mutable_test() = *slice;
      return answer;
    }
  }
  const auto lease = leases_->Acquire(worker, workers, now);
  if (!lease.has_value()) return std::nullopt;
  answer.set_lease_id(lease->id);
  answer.mutable_train()->set_begin(lease->range.begin);
  answer.mutable_train()->set_end(lease->range.end);
  answer.mutable_parts()->Add(lease->parts.begin(), lease->parts.end());
  return answer;
}

void Job::TakeFigures(const v1::TrainResult& iteration) {
  const float share = 1.0f / static_cast<float>(std::max(1u, OrderedParts(spec_)));
  losses_.push_back(share * iteration.loss());
  if (losses_.size() > static_cast<size_t>(std::max(1, spec_.solver().average_loss()))) losses_.pop_front();
  if (iteration.iteration() < newest_iteration_ || iteration.outputs_size() != spec_.train_outputs().outputs_size()) return;
  newest_iteration_ = iteration.iteration();
  figures_.set_residual_norm(iteration.residual_norm());
  figures_.clear_outputs();
  for (int i = 0; i < iteration.outputs_size(); ++i) {
    v1::NamedValue* output = figures_.add_outputs();
    output->set_name(spec_.train_outputs().outputs(i).name());
    output->set_loss_weight(spec_.train_outputs().outputs(i).loss_weight());
    output->set_value(share * iteration.outputs(i));
  }
}

uint64_t Job::TakeTrainResults(uint64_t worker, const v1::WorkerReport& report, absl::Time now) {
  uint64_t new_iterations = 0;
  for (const v1::TrainResult& result : report.train()) {
    if (result.job_id() != id()) continue;
    const TrainLeases::News news = leases_->Complete(worker, result.iteration(), result.part(), now);
    if (news == TrainLeases::News::kNothing) continue;
    failures_in_a_row_ = 0;
    v1::TrainResult& sum = part_sums_[result.iteration()];
    AddPart(result, &sum);
    if (news == TrainLeases::News::kPart) continue;
    ++new_iterations;
    TakeFigures(sum);
    part_sums_.erase(result.iteration());
  }
  if (new_iterations > 0 && now - marks_.back().time >= kMarkEvery) {
    marks_.push_back({now, leases_->done().size()});
    while (marks_.size() > 2 && now - marks_[1].time >= kRateSpan) marks_.pop_front();
  }
  return new_iterations;
}

void Job::TakeTestResults(const v1::WorkerReport& report, absl::Time now) {
  for (const v1::TestResult& result : report.test()) {
    if (result.job_id() != id()) continue;
    for (TestPass& pass : passes_) {
      if (!pass.Complete(result, now)) continue;
      failures_in_a_row_ = 0;
      if (pass.complete()) *figures_.add_tests() = pass.Report();
    }
  }
}

void Job::ReleaseLease(uint64_t lease_id) {
  leases_->Release(lease_id);
  for (TestPass& pass : passes_) test_releases_ += static_cast<uint64_t>(pass.Release(lease_id));
}

void Job::TakeFailures(const std::string& worker_name, const v1::WorkerReport& report, absl::Time now) {
  for (const v1::WorkFailure& failure : report.failures()) {
    if (failure.job_id() != id()) continue;
    ReleaseLease(failure.lease_id());
    const std::string text = absl::StrCat("worker ", worker_name, ": ", failure.message());
    if (failure.permanent()) {
      EndLocked(v1::JOB_STATE_FAILED, text, now);
    } else if (++failures_in_a_row_ >= kMaxFailuresInARow) {
      EndLocked(v1::JOB_STATE_FAILED,
                absl::StrCat("gave up after ", kMaxFailuresInARow, " failures without progress; the last: ", text),
                now);
    }
  }
}

uint64_t Job::Report(uint64_t worker, const std::string& worker_name, const v1::WorkerReport& report, absl::Time now) {
  absl::MutexLock lock(&mu_);
  if (state_ != v1::JOB_STATE_RUNNING) return 0;
  const uint64_t new_iterations = TakeTrainResults(worker, report, now);
  TakeTestResults(report, now);
  TakeFailures(worker_name, report, now);
  Changed();
  return new_iterations;
}

void Job::Renew(uint64_t worker, absl::Time now) {
  absl::MutexLock lock(&mu_);
  if (leases_ == nullptr) return;
  leases_->Renew(worker, now);
  for (TestPass& pass : passes_) pass.Renew(worker, now);
}

void Job::ReleaseWorker(uint64_t worker) {
  absl::MutexLock lock(&mu_);
  if (leases_ == nullptr) return;
  leases_->ReleaseWorker(worker);
  for (TestPass& pass : passes_) test_releases_ += static_cast<uint64_t>(pass.ReleaseWorker(worker));
  Changed();
}

void Job::Expire(absl::Time now) {
  absl::MutexLock lock(&mu_);
  if (leases_ == nullptr) return;
  leases_->Expire(now);
  const absl::Duration term = TrainLeases::Options().term;
  for (TestPass& pass : passes_) test_releases_ += static_cast<uint64_t>(pass.Expire(term, now));
}

std::vector<uint64_t> Job::TakeRevoked(uint64_t worker) {
  absl::MutexLock lock(&mu_);
  if (leases_ == nullptr) return {};
  std::vector<uint64_t> revoked = leases_->TakeRevoked(worker);
  if (state_ != v1::JOB_STATE_RUNNING) {
    for (const TrainLeases::Lease& lease : leases_->LeasesOf(worker)) revoked.push_back(lease.id);
  }
  return revoked;
}

bool Job::Holds(uint64_t worker, uint64_t lease_id) const {
  absl::MutexLock lock(&mu_);
  if (state_ != v1::JOB_STATE_RUNNING) return false;
  return leases_->Holds(worker, lease_id) ||
         std::any_of(passes_.begin(), passes_.end(), [&](const TestPass& pass) { return pass.Holds(worker, lease_id); });
}

std::vector<std::string> Job::LeaseNames(uint64_t worker) const {
  absl::MutexLock lock(&mu_);
  if (state_ != v1::JOB_STATE_RUNNING) return {};
  std::vector<std::string> names;
  for (const TrainLeases::Lease& lease : leases_->LeasesOf(worker)) {
    const std::string parts = lease.parts.empty() ? "" : absl::StrCat(" parts ", absl::StrJoin(lease.parts, ","));
    names.push_back(absl::StrCat("train ", lease.range.begin, "..", lease.range.end, parts));
  }
  for (const TestPass& pass : passes_) {
    for (const v1::TestSlice& slice : pass.SlicesOf(worker)) {
      names.push_back(absl::StrCat("test net ", slice.net(), " ", slice.begin(), "..", slice.end()));
    }
  }
  return names;
}

std::optional<v1::GetAssignmentResponse> Job::Assignment() const {
  absl::MutexLock lock(&mu_);
  if (state_ != v1::JOB_STATE_RUNNING) return std::nullopt;
  v1::GetAssignmentResponse assignment;
  *assignment.mutable_spec() = spec_;
  assignment.set_epoch(plan_.epoch);
  assignment.set_chunk_elements(plan_.chunk_elements);
  for (const std::string& server : plan_.servers) assignment.add_servers(server);
  return assignment;
}

double Job::ImagesPerSecond(absl::Time now) const {
  if (marks_.empty()) return 0;
  const absl::Time until = state_ == v1::JOB_STATE_RUNNING ? now : marks_.back().time;
  const double seconds = absl::ToDoubleSeconds(until - marks_.front().time);
  const uint64_t iterations = leases_->done().size() - marks_.front().completed;
  return seconds <= 0 ? 0 : static_cast<double>(iterations * SamplesOfIteration(spec_)) / seconds;
}

v1::JobStatus Job::Status(absl::Time now) const {
  absl::MutexLock lock(&mu_);
  v1::JobStatus status = figures_;
  status.set_job_id(id());
  status.set_state(state_);
  status.set_cause(cause_);
  status.set_max_iter(max_iter());
  status.set_mode(spec_.mode());
  status.set_delay(spec_.delay());
  status.set_parts(spec_.parts());
  status.set_encoding(spec_.encoding());
  status.set_topk_ratio(spec_.topk_ratio());
  status.set_staleness_scaling(spec_.staleness_scaling());
  status.set_delay_compensation(spec_.delay_compensation());
  status.set_chunk_elements(plan_.chunk_elements);
  status.set_resumed_from(plan_.resumed_from);
  status.set_epoch(plan_.epoch);
  for (const std::string& server : plan_.servers) status.add_servers(server);
  if (leases_ == nullptr) return status;
  const Ledger& done = leases_->done();
  status.set_iteration(std::min(done.watermark(), max_iter()));
  status.set_completed_iterations(done.size());
  status.set_samples(done.size() * SamplesOfIteration(spec_));
  status.set_learning_rate(LearningRate(spec_.solver(), std::min(done.watermark(), max_iter() - 1)));
  for (float loss : losses_) status.set_loss(status.loss() + loss / static_cast<double>(losses_.size()));
  status.set_images_per_second(ImagesPerSecond(now));
  if (status.images_per_second() > 0) {
    const uint64_t left = (max_iter() - std::min(done.size(), max_iter())) * SamplesOfIteration(spec_);
    status.set_eta_seconds(static_cast<double>(left) / status.images_per_second());
  }
  status.set_releases(leases_->releases() + test_releases_);
  status.set_speculative(leases_->speculative() + test_speculative_);
  status.set_speculative_wasted(leases_->speculative_wasted() + test_speculative_wasted_);
  for (const TestPass& pass : passes_) {
    status.set_speculative(status.speculative() + pass.speculative());
    status.set_speculative_wasted(status.speculative_wasted() + pass.speculative_wasted());
  }
  status.set_seconds(absl::ToDoubleSeconds((state_ == v1::JOB_STATE_RUNNING ? now : ended_at_) - started_));
  return status;
}

uint64_t Job::AwaitChange(uint64_t version, absl::Duration time) const {
  absl::MutexLock lock(&mu_);
  const auto changed = [this, version]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return version_ != version; };
  mu_.AwaitWithTimeout(absl::Condition(&changed), time);
  return version_;
}

}  // namespace samovar
