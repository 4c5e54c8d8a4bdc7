#include "server/jobs/job.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/clock.h"
#include "common/base/printable.h"
#include "common/model/consistency.h"
#include "common/model/learning_rate.h"
#include "server/leases/lease_table.h"
#include "server/leases/part_table.h"
#include "server/leases/unit_leases.h"

namespace samovar {
namespace {

// Bits of a lease's id that the job itself counts with; its number stands above them.
constexpr int kLeaseBits = 40;
constexpr uint64_t kSkippedTold = 4;

// The schedule of data that are stored in partitions.
std::optional<IterationSchedule> StoredSchedule(const v1::DatasetSpec& data) {
  if (data.block() <= 1 || data.partitions() <= 1) return std::nullopt;
  IterationSchedule::Options options;
  options.records = data.records();
  options.batch_size = data.batch_size();
  options.partitions = data.partitions();
  options.block = data.block();
  absl::StatusOr<IterationSchedule> schedule = IterationSchedule::Create(options);
  return schedule.ok() ? std::optional(*schedule) : std::nullopt;
}

bool HasEnded(v1::JobState state) { return state != v1::JOB_STATE_QUEUED && state != v1::JOB_STATE_RUNNING; }

}  // namespace

Job::Job(v1::JobSpec spec, uint64_t number)
    : spec_(std::move(spec)),
      number_(number),
      lease_base_(number << kLeaseBits),
      has_history_(!spec_.resume()),
      progress_(&spec_),
      checkpoints_(&spec_),
      hold_(spec_.fetches_snapshots()) {
  figures_.set_submitted_unix_ms(UnixMsNow());
  events_.Add(v1::JobEvent::KIND_STATE, "submitted", absl::Now());
}

Job::Job(v1::JobSpec spec, uint64_t number, const v1::JobRecord& record) : Job(std::move(spec), number) {
  absl::MutexLock lock(&mu_);
  figures_ = record.status();
  BoundTexts(&figures_);
  const std::vector<std::string> servers(figures_.servers().begin(), figures_.servers().end());
  figures_.clear_servers();
  events_.Restore(record.events());
  progress_.displays().Restore(record.displays(),
                               record.has_displayed() ? std::optional(record.displayed()) : std::nullopt);
  progress_.skipped().Restore(figures_.skipped_iterations(), record.skipped());
  has_history_ = !record.begun() && !spec_.resume();
  if (HasEnded(figures_.state())) {
    state_ = figures_.state();
    cause_ = figures_.cause();
    plan_.epoch = figures_.epoch();
    plan_.chunk_elements = figures_.chunk_elements();
    plan_.servers = servers;
    plan_.resumed_from = figures_.resumed_from();
    return;
  }
  // Its run began at the same iteration under any coordinator.
  if (figures_.state() == v1::JOB_STATE_RUNNING) began_at_ = figures_.resumed_from();
  // They are of its work then.
  figures_.clear_loss();
  figures_.clear_images_per_second();
  figures_.clear_eta_seconds();
  begun_ = recovered_ = record.begun();
  figures_.set_recovered(recovered_);
  Note(v1::JobEvent::KIND_STATE, recovered_ ? "the coordinator was started again, and takes the job up again"
                                            : "the coordinator was started again; the job still waits");
}

void Job::Note(v1::JobEvent::Kind kind, const std::string& text) {
  events_.Add(kind, text, absl::Now());
  Changed();
}

void Job::Begin() {
  absl::MutexLock lock(&mu_);
  if (std::exchange(begun_, true)) return;
  Note(v1::JobEvent::KIND_STATE, "its turn has come");
}

void Job::SetCause(const std::string& cause) {
  absl::MutexLock lock(&mu_);
  // Set the cause of a queued job's wait. The cause of its end stays: the runner may not have noticed yet that it was
  // cancelled.
  if (state_ != v1::JOB_STATE_QUEUED || cause == cause_) return;
  cause_ = cause;
  Changed();
}

void Job::Start(Plan plan, absl::Time now) {
  absl::MutexLock lock(&mu_);
  if (state_ != v1::JOB_STATE_QUEUED) return;
  state_ = v1::JOB_STATE_RUNNING;
  cause_.clear();
  // Those of the job that it resumes: what servers hold is looked for from now on.
  if (spec_.resume() && !recovered_) {
    figures_.clear_snapshots();
    figures_.clear_snapshot_details();
    figures_.clear_exported_snapshot();
  }
  TrainLeases::Options options;
  options.max_iter = max_iter();
  const v1::Consistency& consistency = spec_.consistency();
  if (consistency.mode() == v1::CONSISTENCY_BOUNDED) options.delay = consistency.delay();
  options.schedule = StoredSchedule(spec_.train_data());
  if (const uint32_t parts = PartsOf(consistency); parts > 0) {
    leases_ = std::make_unique<PartTable>(options, parts, plan.done);
  } else if (PushEvery(consistency) > 1) {
    leases_ = std::make_unique<UnitLeases>(options, PushEvery(consistency), plan.done);
  } else {
    leases_ = std::make_unique<LeaseTable>(options, plan.done);
  }
  const uint64_t begin = plan.done.watermark();
  checkpoints_.Begin(begin, HasTested(begin));
  plan_ = std::move(plan);
  plan_.resumed_from = began_at_.value_or(plan_.resumed_from);
  started_ = now;
  const auto lost = progress_.Begin(leases_->done(), now);
  if (recovered_) ForgetBeyond(begin);
  if (figures_.started_unix_ms() == 0) figures_.set_started_unix_ms(UnixMsNow());
  UpdateLimit();
  Note(v1::JobEvent::KIND_STATE, absl::StrCat("runs on ", absl::StrJoin(plan_.servers, ", "),
                                              begin > 0 ? absl::StrCat(", from iteration ", begin, " on") : ""));
  if (SumsPartsAnew(consistency) && begin > 0) {
    AddNoticeLocked(
        absl::StrCat("the job was begun by a version that added up parts one after the other; from iteration ", begin,
                     " on they are added up in a tree, so that the model differs in its last bits from "
                     "what that version makes of it"));
  }
  if (lost.has_value()) {
    AddNoticeLocked(absl::StrCat("the display of iterations ", lost->first, " to ", lost->second,
                                 " was lost with the coordinator before this one; the iterations themselves are done"));
  }
}

bool Job::HasTested(uint64_t iteration) const {
  const auto of_it = [iteration](const v1::TestReport& test) { return test.iteration() == iteration; };
  return std::count_if(figures_.tests().begin(), figures_.tests().end(), of_it) >= spec_.test_nets_size();
}

void Job::ForgetBeyond(uint64_t iteration) {
  auto* tests = figures_.mutable_tests();
  tests->erase(
      std::remove_if(tests->begin(), tests->end(),
                     [&](const v1::TestReport& test) { return iteration == 0 || test.iteration() > iteration; }),
      tests->end());
  auto* snapshots = figures_.mutable_snapshots();
  snapshots->erase(std::remove_if(snapshots->begin(), snapshots->end(), [&](uint64_t at) { return at > iteration; }),
                   snapshots->end());
}

void Job::Suspend(const std::string& cause) {
  absl::MutexLock lock(&mu_);
  if (state_ != v1::JOB_STATE_RUNNING || (suspended_ && cause == cause_)) return;
  cause_ = cause;
  if (!std::exchange(suspended_, true)) {
    Note(v1::JobEvent::KIND_STATE, cause);
    leases_->RevokeAll();
    tests_.ReleaseAll();
  }
  Changed();
}

void Job::Resume() {
  absl::MutexLock lock(&mu_);
  if (state_ != v1::JOB_STATE_RUNNING || !std::exchange(suspended_, false)) return;
  cause_.clear();
  failures_.End();
  Changed();
}

std::optional<uint64_t> Job::DropTests() {
  const std::optional<uint64_t> untested = tests_.Drop();
  if (!untested.has_value()) return std::nullopt;
  // Some of several test nets may have their results; they come again.
  auto* tests = figures_.mutable_tests();
  tests->erase(std::remove_if(tests->begin(), tests->end(),
                              [&](const v1::TestReport& report) { return report.iteration() == *untested; }),
               tests->end());
  return untested;
}

void Job::Recovered(Plan plan) {
  absl::MutexLock lock(&mu_);
  if (state_ != v1::JOB_STATE_RUNNING) return;
  suspended_ = false;
  cause_.clear();
  failures_.End();
  leases_->RevokeAll();
  first_train_lease_ = last_train_lease_ + 1;
  first_test_lease_ = tests_.next_lease();
  const uint64_t done_before = leases_->done().size();
  leases_->AddMissing(plan.done.Missing(0, max_iter()));
  const Ledger& done = leases_->done();
  figures_.set_recoveries(figures_.recoveries() + 1);
  figures_.set_repeated_iterations(figures_.repeated_iterations() + done_before - done.size());

  checkpoints_.GoBack(done.watermark(), DropTests());
  plan.resumed_from = plan_.resumed_from;
  plan_ = std::move(plan);
  ++placement_;
  progress_.TakeBack(done);
  UpdateLimit();
  Changed();
}

void Job::AddNotice(const std::string& notice) {
  absl::MutexLock lock(&mu_);
  AddNoticeLocked(notice);
}

void Job::AddNoticeLocked(const std::string& notice) {
  Note(v1::JobEvent::KIND_STATE, notice);
  figures_.add_notices(Printable(notice));
  if (figures_.notices_size() > kMaxNotices) {
    figures_.mutable_notices()->DeleteSubrange(0, 1);
    figures_.set_dropped_notices(figures_.dropped_notices() + 1);
  }
  Changed();
}

void Job::TakeSkipped(const v1::TrainResult& result, const std::string& finding) {
  const std::string text = absl::StrCat("iteration ", result.iteration(), " was skipped: ", finding);
  // The job's notices have the first ones; of a model that has diverged all others are skipped, too.
  if (progress_.skipped().count() <= kSkippedTold) {
    AddNoticeLocked(text);
  } else if (result.updated_chunks() > 0) {
    Note(v1::JobEvent::KIND_WORKER, text);
  }
}

std::optional<Checkpoint> Job::DueCheckpoint() const {
  return state_ == v1::JOB_STATE_RUNNING ? checkpoints_.Due(leases_->done().watermark()) : std::nullopt;
}

std::optional<Checkpoint> Job::TakeableCheckpoint() const {
  std::optional<Checkpoint> due = DueCheckpoint();
  return due.has_value() && IsHeldBack(*due) ? std::nullopt : due;
}

bool Job::HasWork() const {
  if (state_ != v1::JOB_STATE_RUNNING) return true;
  if (!checkpoints_.complete() && leases_->complete()) return true;
  return TakeableCheckpoint().has_value() || (checkpoints_.active() && tests_.complete());
}

void Job::AwaitWork(absl::Duration time) {
  absl::MutexLock lock(&mu_);
  changed_.WaitFor(&mu_, time, [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return HasWork(); });
}

std::optional<Checkpoint> Job::TakeCheckpoint() {
  absl::MutexLock lock(&mu_);
  const std::optional<Checkpoint> due = TakeableCheckpoint();
  if (due.has_value()) checkpoints_.Take();
  return due;
}

void Job::CheckpointFrozen(const Checkpoint& checkpoint, uint64_t workers) {
  absl::MutexLock lock(&mu_);
  checkpoints_.Pass(checkpoint);
  UpdateLimit();
  if (checkpoint.test) tests_.Begin(spec_, checkpoint.iteration, workers);
}

void Job::CheckpointNotBegun() {
  absl::MutexLock lock(&mu_);
  checkpoints_.End();
}

void Job::CheckpointRefused(const Checkpoint& checkpoint, const absl::Status& status) {
  absl::MutexLock lock(&mu_);
  checkpoints_.End();
  if (checkpoint.persist) SnapshotFailed(checkpoint.iteration, status);
  if (checkpoint.iteration == max_iter()) return;
  checkpoints_.Pass(checkpoint);
  UpdateLimit();
  if (checkpoint.test)
    AddNoticeLocked(absl::StrCat("the test at iteration ", checkpoint.iteration, " is left out: ", status.message()));
}

bool Job::TestsDone() const {
  absl::MutexLock lock(&mu_);
  return tests_.complete();
}

void Job::CheckpointEnded() {
  absl::MutexLock lock(&mu_);
  tests_.End();
  checkpoints_.End();
}

bool Job::AwaitsVerification() const {
  absl::MutexLock lock(&mu_);
  return state_ == v1::JOB_STATE_RUNNING && !checkpoints_.complete() && leases_->complete();
}

void Job::Verified(const Ledger& held_by_all, const v1::LedgerSummary& summary) {
  absl::MutexLock lock(&mu_);
  *figures_.mutable_ledger() = summary;
  const std::vector<IterationRange> missing = held_by_all.Missing(0, max_iter());
  if (missing.empty()) {
    checkpoints_.SetComplete();
    Note(v1::JobEvent::KIND_STATE, absl::StrCat("the ledgers of all ", summary.chunks(), " chunks are complete"));
  } else {
    Note(v1::JobEvent::KIND_LEASE,
         absl::StrCat(max_iter() - held_by_all.size(), " iterations are missing in some chunk, and are leased again"));
    leases_->AddMissing(missing);
    progress_.TakeBack(leases_->done());
  }
  Changed();
}

void Job::TakeLedgers(const v1::LedgerSummary& summary) {
  absl::MutexLock lock(&mu_);
  v1::LedgerSummary* const ledger = figures_.mutable_ledger();
  *ledger->mutable_counters() = summary.counters();
  ledger->set_watermark(summary.watermark());
  ledger->set_beyond(summary.beyond());
  Changed();
}

void Job::EndLocked(v1::JobState state, const std::string& cause, absl::Time now) {
  if (HasEnded(state_)) return;
  state_ = state;
  cause_ = cause;
  if (leases_ == nullptr) started_ = now;
  ended_at_ = now;
  figures_.set_ended_unix_ms(UnixMsNow());
  Note(v1::JobEvent::KIND_STATE, cause.empty() ? StateName(state) : absl::StrCat(StateName(state), ": ", cause));
}

void Job::End(v1::JobState state, const std::string& cause, absl::Time now) {
  absl::MutexLock lock(&mu_);
  EndLocked(state, cause, now);
}

bool Job::ended() const {
  absl::MutexLock lock(&mu_);
  return HasEnded(state_);
}

std::pair<absl::Time, uint64_t> Job::EndTimes() const {
  absl::MutexLock lock(&mu_);
  return {ended_at_, figures_.ended_unix_ms()};
}

bool Job::running() const {
  absl::MutexLock lock(&mu_);
  return state_ == v1::JOB_STATE_RUNNING;
}

bool Job::queued() const {
  absl::MutexLock lock(&mu_);
  return state_ == v1::JOB_STATE_QUEUED;
}

std::optional<v1::GetAssignmentResponse> Job::Assignment() const {
  absl::MutexLock lock(&mu_);
  if (state_ != v1::JOB_STATE_RUNNING) return std::nullopt;
  v1::GetAssignmentResponse assignment;
  *assignment.mutable_spec() = spec_;
  assignment.set_epoch(plan_.epoch);
  assignment.set_chunk_elements(plan_.chunk_elements);
  for (const std::string& server : plan_.servers) assignment.add_servers(server);
  assignment.set_placement(placement_);
  assignment.set_opening(plan_.opening);
  assignment.mutable_incarnations()->Add(plan_.incarnations.begin(), plan_.incarnations.end());
  return assignment;
}

std::vector<v1::JobEvent> Job::EventsAfter(uint64_t number) const {
  absl::MutexLock lock(&mu_);
  return events_.After(number);
}

uint64_t Job::newest_event() const {
  absl::MutexLock lock(&mu_);
  return events_.newest();
}

uint64_t Job::displays_end() const {
  absl::MutexLock lock(&mu_);
  return progress_.displays().end();
}

void Job::RestoreHistory(HistoryBlocks blocks) {
  absl::MutexLock lock(&mu_);
  if (std::exchange(has_history_, true)) return;
  if (recovered_) {
    progress_.history().Restore(std::move(blocks));
  } else {
    progress_.history().Inherit(std::move(blocks));
  }
}

bool Job::awaits_history() const {
  absl::MutexLock lock(&mu_);
  return !has_history_ && !HasEnded(state_);
}

std::optional<std::vector<v1::HistoryBlock>> Job::History() const {
  absl::MutexLock lock(&mu_);
  return has_history_ ? std::optional(progress_.history().Blocks()) : std::nullopt;
}

bool Job::history_unsaved() const {
  absl::MutexLock lock(&mu_);
  return has_history_ && (progress_.history().changed() || HasEnded(state_));
}

JobHistory::Changes Job::TakeHistoryChanges() {
  absl::MutexLock lock(&mu_);
  return has_history_ ? progress_.history().TakeChanges() : JobHistory::Changes();
}

void Job::HistoryStored(uint64_t version) {
  absl::MutexLock lock(&mu_);
  if (!has_history_) return;
  progress_.history().Stored(version);
  if (!HasEnded(state_) || progress_.history().changed()) return;
  has_history_ = false;
  progress_.history().Clear();
}

v1::JobRecord Job::Record(absl::Time now, uint64_t displays_from) const {
  absl::MutexLock lock(&mu_);
  v1::JobRecord record;
  const DisplayLog& displays = progress_.displays();
  for (v1::DisplayLine& line : displays.From(displays_from)) *record.add_displays() = std::move(line);
  record.set_displays_from(displays.oldest());
  if (displays.displayed().has_value()) record.set_displayed(*displays.displayed());
  *record.mutable_status() = StatusLocked(now);
  record.set_begun(begun_);
  *record.mutable_skipped() = progress_.skipped().ToProto();
  for (v1::JobEvent& event : events_.After(0)) *record.add_events() = std::move(event);
  return record;
}

v1::JobStatus Job::Status(absl::Time now) const {
  absl::MutexLock lock(&mu_);
  return StatusLocked(now);
}

v1::JobStatus Job::StatusLocked(absl::Time now) const {
  v1::JobStatus status = figures_;
  status.set_job_id(id());
  status.set_state(state_);
  status.set_cause(cause_.empty() ? HeldBackText() : cause_);
  if (status.cause().empty()) status.set_cause(SilenceText(now));
  status.set_max_iter(max_iter());
  *status.mutable_consistency() = spec_.consistency();
  status.set_weight(weight());
  status.set_submitter(spec_.submitter());
  status.set_chunk_elements(plan_.chunk_elements);
  status.set_resumed_from(plan_.resumed_from);
  status.set_epoch(plan_.epoch);
  for (const std::string& server : plan_.servers) status.add_servers(server);
  if (leases_ == nullptr) return status;
  const Ledger& done = leases_->done();
  status.set_iteration(std::min(done.watermark(), max_iter()));
  status.set_completed_iterations(done.size());
  status.set_learning_rate(
      LearningRate(spec_.solver(), std::min(done.watermark(), std::max<uint64_t>(1, max_iter()) - 1)));
  const bool running = state_ == v1::JOB_STATE_RUNNING;
  progress_.WriteTo(&status, done.size(), running ? now : ended_at_, !running);
  if (running) status.set_idle_seconds(absl::ToDoubleSeconds(now - std::max(advanced_, started_)));
  status.set_releases(leases_->releases() + tests_.releases());
  status.set_speculative(leases_->speculative() + tests_.speculative());
  status.set_speculative_wasted(leases_->speculative_wasted() + tests_.speculative_wasted());
  status.set_seconds(absl::ToDoubleSeconds((running ? now : ended_at_) - started_));
  return status;
}

std::vector<v1::DisplayLine> Job::DisplaysFrom(uint64_t iteration) const {
  absl::MutexLock lock(&mu_);
  return progress_.displays().From(iteration);
}

uint64_t Job::AwaitChange(uint64_t version, absl::Duration time) const {
  absl::MutexLock lock(&mu_);
  const auto changed = [this, version]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return version_ != version; };
  changed_.WaitFor(&mu_, time, changed);
  return version_;
}

}  // namespace samovar
