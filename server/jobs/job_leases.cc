// The methods of Job that lease work to workers and take their reports.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/printable.h"
#include "common/model/consistency.h"
#include "server/jobs/job.h"

namespace samovar {
namespace {

// A late worker gives its reason with its next heartbeat; after this time the job's log says without a reason that it
// is late.
constexpr absl::Duration kLateNews = absl::Seconds(2);
// A job that has done no iteration for so long says what it waits for.
constexpr absl::Duration kStandstill = absl::Seconds(3);

std::string NameOf(const TrainLeases::Lease& lease) {
  const std::string parts = lease.parts.empty() ? "" : absl::StrCat(" parts ", absl::StrJoin(lease.parts, ","));
  return absl::StrCat("train ", lease.range.begin, "..", lease.range.end, parts);
}

std::string NameOf(const v1::TestSlice& slice) {
  return absl::StrCat("test net ", slice.net(), " ", slice.begin(), "..", slice.end());
}

}  // namespace

std::optional<v1::WorkLease> Job::Lease(uint64_t worker, uint64_t workers, absl::Time now) {
  absl::MutexLock lock(&mu_);
  if (state_ != v1::JOB_STATE_RUNNING || suspended_) return std::nullopt;
  v1::WorkLease answer;
  answer.set_job_id(id());
  answer.set_epoch(plan_.epoch);
  if (auto test = tests_.Acquire(worker, now)) {
    answer.set_lease_id(Outside(test->id));
    *answer.mutable_test() = std::move(test->slice);
    return answer;
  }
  const auto lease = leases_->Acquire(worker, workers, now);
  if (!lease.has_value()) return std::nullopt;
  last_train_lease_ = std::max(last_train_lease_, lease->id);
  AdviseWorkers(workers);
  leased_end_ = std::max(leased_end_, lease->range.end);
  answer.set_lease_id(Outside(lease->id));
  answer.mutable_train()->set_begin(lease->range.begin);
  answer.mutable_train()->set_end(lease->range.end);
  answer.mutable_parts()->Add(lease->parts.begin(), lease->parts.end());
  return answer;
}

void Job::AdviseWorkers(uint64_t workers) {
  if (workers <= advised_workers_) return;
  advised_workers_ = workers;
  const std::string text = TooManyWorkersText(spec_.consistency(), max_iter(), workers);
  if (!text.empty() && !std::exchange(advised_, true)) AddNoticeLocked(text);
}

uint64_t Job::TakeTrainResults(uint64_t worker, const v1::WorkerReport& report, absl::Time now) {
  uint64_t new_iterations = 0;
  for (const v1::TrainResult& result : report.train()) {
    if (result.job_id() != id() || IsVoid(result.lease_id())) continue;
    leases_->TookForPart(worker, absl::Seconds(result.compute_seconds()), now);
    const TrainLeases::News news = leases_->Complete(worker, result.iteration(), result.part(), now);
    if (news == TrainLeases::News::kNothing) continue;
    failures_.End();
    progress_.AddPart(result);
    if (news == TrainLeases::News::kPart) continue;
    ++new_iterations;
    const std::string skipped = progress_.EndIteration(result.iteration());
    if (!skipped.empty()) TakeSkipped(result, Printable(skipped));
  }
  if (new_iterations == 0) return 0;
  advanced_ = now;
  progress_.CountDone(leases_->done().size(), now);
  progress_.Advance(leases_->done().watermark(), now);
  return new_iterations;
}

void Job::TakeTestResults(const v1::WorkerReport& report, absl::Time now) {
  for (const v1::TestResult& result : report.test()) {
    if (result.job_id() != id() || IsVoid(result.lease_id())) continue;
    const TestPasses::News news = tests_.Complete(result, now);
    if (news.taken) failures_.End();
    if (!news.report.has_value()) continue;
    *figures_.add_tests() = *news.report;
    Note(v1::JobEvent::KIND_TEST, TestText(*news.report));
  }
}

bool Job::IsVoid(uint64_t lease_id) const {
  const uint64_t lease = Inside(lease_id);
  return lease < ((lease & kTestLease) != 0 ? first_test_lease_ : first_train_lease_);
}

void Job::ReleaseLease(uint64_t lease_id) {
  leases_->Release(lease_id);
  tests_.Release(lease_id);
}

void Job::TakeFailures(const std::string& worker_name, const v1::WorkerReport& report, absl::Time now) {
  for (const v1::WorkFailure& failure : report.failures()) {
    if (failure.job_id() != id()) continue;
    ReleaseLease(Inside(failure.lease_id()));
    // Servers that were lost, or have gone back since, refuse pushes of leases from before.
    if ((suspended_ || IsVoid(failure.lease_id())) && !failure.permanent()) continue;
    const std::string text = absl::StrCat("worker ", worker_name, ": ", Printable(failure.message()));
    if (failure.permanent()) {
      Note(v1::JobEvent::KIND_WORKER, text);
      EndLocked(v1::JOB_STATE_FAILED, text, now);
      continue;
    }
    const FailureStreak::Outcome outcome = failures_.Add(now);
    if (outcome.is_told) {
      AddNoticeLocked(absl::StrCat(text, "; it is tried again"));
    } else {
      Note(v1::JobEvent::KIND_WORKER, text);
    }
    if (!outcome.gives_up) continue;
    EndLocked(v1::JOB_STATE_FAILED,
              absl::StrCat("gave up after ", failures_.count(), " failures without progress; the last: ", text), now);
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

void Job::Renew(uint64_t worker, uint64_t lease_id, absl::Time now) {
  absl::MutexLock lock(&mu_);
  if (leases_ == nullptr) return;
  leases_->Renew(worker, Inside(lease_id), now);
  tests_.Renew(worker, Inside(lease_id), now);
}

void Job::TakeWait(uint64_t worker, const std::string& name, const v1::WorkerWait& wait, absl::Time now) {
  absl::MutexLock lock(&mu_);
  if (state_ != v1::JOB_STATE_RUNNING) return;
  if (wait.for_workers()) leases_->Waits(worker, now);
  if (!wait.silent().empty()) leases_->WaitsForServer(worker, now);
  for (const std::string& news : silent_links_.Take(worker, name, wait, plan_.servers, now)) {
    Note(v1::JobEvent::KIND_WORKER, news);
  }
  if (late_.erase(worker) != 0) TellLate(worker, name, now);
}

void Job::TellLate(uint64_t worker, const std::string& name, absl::Time now) {
  const std::string silence = silent_links_.TextOf(worker, now);
  AddNoticeLocked(absl::StrCat("worker ", name, " is late", silence.empty() ? "" : absl::StrCat(": ", silence),
                               "; others do its share"));
}

std::string Job::SilenceText(absl::Time now) const {
  const bool stands = state_ == v1::JOB_STATE_RUNNING && now - std::max(advanced_, started_) > kStandstill;
  return stands ? silent_links_.Text(now) : "";
}

void Job::ReleaseWorker(uint64_t worker, const std::string& news) {
  absl::MutexLock lock(&mu_);
  if (leases_ == nullptr) return;
  const std::vector<std::string> held = LeaseNamesLocked(worker);
  if (!held.empty()) {
    Note(v1::JobEvent::KIND_WORKER, absl::StrCat(news, "; others get what it held: ", absl::StrJoin(held, ", ")));
  }
  leases_->ReleaseWorker(worker);
  silent_links_.Forget(worker);
  late_.erase(worker);
  tests_.ReleaseWorker(worker);
  Changed();
}

void Job::WorkerWentOver(uint64_t worker) {
  absl::MutexLock lock(&mu_);
  // Where all workers have parts of the same iterations, no worker must wait for this one's.
  if (leases_ != nullptr && InOrder(spec_.consistency())) leases_->ReleaseWorker(worker);
}

void Job::Expire(absl::Time now, absl::FunctionRef<std::string(uint64_t)> name_of) {
  absl::MutexLock lock(&mu_);
  if (state_ != v1::JOB_STATE_RUNNING) return;
  const uint64_t before = leases_->releases() + tests_.releases();
  leases_->Expire(now);
  tests_.Expire(TrainLeases::Options().term, now);
  for (uint64_t worker : leases_->TakeLate()) late_.emplace(worker, now);
  for (auto late = late_.begin(); late != late_.end();) {
    if (now - late->second < kLateNews) {
      ++late;
      continue;
    }
    TellLate(late->first, name_of(late->first), now);
    late = late_.erase(late);
  }
  const uint64_t expired = leases_->releases() + tests_.releases() - before;
  if (expired == 0) return;
  Note(v1::JobEvent::KIND_LEASE,
       absl::StrCat(expired, expired == 1 ? " lease" : " leases", " ended with work undone; others get it"));
}

std::vector<uint64_t> Job::TakeRevoked(uint64_t worker) {
  absl::MutexLock lock(&mu_);
  if (leases_ == nullptr) return {};
  std::vector<uint64_t> revoked = leases_->TakeRevoked(worker);
  if (state_ != v1::JOB_STATE_RUNNING) {
    for (const TrainLeases::Lease& lease : leases_->LeasesOf(worker)) revoked.push_back(lease.id);
  }
  for (uint64_t& lease : revoked) lease = Outside(lease);
  return revoked;
}

bool Job::Holds(uint64_t worker, uint64_t lease_id) const {
  absl::MutexLock lock(&mu_);
  if (state_ != v1::JOB_STATE_RUNNING || suspended_ || Outside(Inside(lease_id)) != lease_id) return false;
  const uint64_t id = Inside(lease_id);
  return leases_->Holds(worker, id) || tests_.Holds(worker, id);
}

std::map<uint64_t, std::vector<std::string>> Job::LeaseNames() const {
  absl::MutexLock lock(&mu_);
  std::map<uint64_t, std::vector<std::string>> names;
  if (state_ != v1::JOB_STATE_RUNNING) return names;
  for (const TrainLeases::Lease& lease : leases_->Leases()) names[lease.worker].push_back(NameOf(lease));
  for (const auto& [worker, slice] : tests_.LeasedSlices()) names[worker].push_back(NameOf(slice));
  return names;
}

std::vector<std::string> Job::LeaseNamesLocked(uint64_t worker) const {
  if (state_ != v1::JOB_STATE_RUNNING) return {};
  std::vector<std::string> names;
  for (const TrainLeases::Lease& lease : leases_->LeasesOf(worker)) names.push_back(NameOf(lease));
  for (const v1::TestSlice& slice : tests_.SlicesOf(worker)) names.push_back(NameOf(slice));
  return names;
}

}  // namespace samovar
