#include "server/store/store_metrics.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/clock.h"

namespace samovar {
namespace {

constexpr char kPushes[] = "samovar_server_pushes_total";
constexpr char kPushesHelp[] = "Chunks that workers pushed, by result.";

const std::vector<double> kApplySeconds = {1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1};
const std::vector<double> kSnapshotSeconds = {1e-2, 1e-1, 1, 10, 60, 300};

const char* NameOf(StoreMetrics::Refusal reason) {
  switch (reason) {
    case StoreMetrics::Refusal::kEpoch:
      return "epoch";
    case StoreMetrics::Refusal::kOpening:
      return "opening";
    case StoreMetrics::Refusal::kMemory:
      return "memory";
    case StoreMetrics::Refusal::kQueue:
      return "queue";
    case StoreMetrics::Refusal::kHeldPulls:
      return "held_pulls";
    case StoreMetrics::Refusal::kStreams:
      return "streams";
    case StoreMetrics::Refusal::kBusy:
      return "busy";
  }
  return "other";
}

}  // namespace

StoreMetrics::StoreMetrics(Metrics* metrics)
    : metrics_(*metrics),
      pushes_applied_(metrics->AddCounter(kPushes, kPushesHelp, {{"outcome", "applied"}})),
      pushes_duplicate_(metrics->AddCounter(kPushes, kPushesHelp, {{"outcome", "duplicate"}})),
      pushes_rejected_(metrics->AddCounter(kPushes, kPushesHelp, {{"outcome", "rejected"}})),
      pushes_skipped_(metrics->AddCounter(kPushes, kPushesHelp, {{"outcome", "skipped"}})),
      pulls_(metrics->AddCounter("samovar_server_pulls_total", "Chunks whose values were sent.")),
      received_(metrics->AddCounter("samovar_server_received_bytes_total", "Bytes of requests on workers' streams.")),
      sent_(metrics->AddCounter("samovar_server_sent_bytes_total", "Bytes of answers on workers' streams.")),
      apply_(metrics->AddHistogram("samovar_server_apply_seconds", "How long a lane works on one request.",
                                   kApplySeconds)),
      snapshot_(metrics->AddHistogram("samovar_server_snapshot_seconds", "How long it takes to write a snapshot.",
                                      kSnapshotSeconds)),
      snapshots_failed_(
          metrics->AddCounter("samovar_server_failed_snapshots_total", "Snapshots that could not be written.")),
      last_snapshot_(metrics->AddGauge("samovar_server_last_snapshot_timestamp_seconds",
                                       "When the last snapshot was written, in seconds since 1970; 0: never.")) {
  for (int reason = 0; reason < kRefusals; ++reason) {
    refused_.push_back(metrics->AddCounter("samovar_server_refused_total",
                                           "Calls that were refused before they did anything, by the reason.",
                                           {{"reason", NameOf(static_cast<Refusal>(reason))}}));
  }
}

absl::Status StoreMetrics::Refused(Refusal reason, absl::Status status) {
  if (!status.ok()) counter(reason)->Increment();
  return status;
}

Lanes::Counts StoreMetrics::LaneCounts(int lanes) {
  Lanes::Counts counts = {counter(Refusal::kQueue), {}};
  for (int lane = 0; lane < lanes; ++lane) {
    counts.queued.push_back(metrics_.AddGauge("samovar_server_queued_tasks", "Tasks that wait for a lane.",
                                              {{"lane", absl::StrCat(lane)}}));
  }
  queued_.insert(queued_.end(), counts.queued.begin(), counts.queued.end());
  return counts;
}

absl::Status StoreMetrics::RefusedForRoom(Refusal reason, absl::Status status) {
  return absl::IsResourceExhausted(status) ? Refused(reason, std::move(status)) : status;
}

void StoreMetrics::CountAnswer(const Answered& answer) {
  // One addition for each that is not 0: most answers have one or two.
  if (answer.applied > 0) pushes_applied_->Increment(static_cast<double>(answer.applied));
  if (answer.duplicates > 0) pushes_duplicate_->Increment(static_cast<double>(answer.duplicates));
  const uint64_t rejected = answer.pushed - answer.applied - answer.duplicates;
  if (answer.failed && rejected > 0) pushes_rejected_->Increment(static_cast<double>(rejected));
  if (!answer.failed && answer.pulled > 0) pulls_->Increment(static_cast<double>(answer.pulled));
}

void StoreMetrics::CountSnapshot(absl::Duration time, const absl::StatusOr<uint64_t>& bytes) {
  if (!bytes.ok()) {
    snapshots_failed_->Increment();
    return NoteError(absl::StrCat("a snapshot could not be written: ", bytes.status().message()));
  }
  snapshot_->Observe(absl::ToDoubleSeconds(time));
  last_snapshot_->Set(absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch()));
  absl::MutexLock lock(&mu_);
  snapshot_at_ = SteadyNow();
  snapshot_took_ = time;
  snapshot_bytes_ = *bytes;
}

void StoreMetrics::NoteError(const std::string& error) {
  absl::MutexLock lock(&mu_);
  error_at_ = SteadyNow();
  error_ = error;
}

void StoreMetrics::WriteTo(v1::ServerFigures* figures) const {
  const auto count = [](const MetricCounter* counter) { return static_cast<uint64_t>(counter->Value()); };
  figures->set_applied_pushes(count(pushes_applied_));
  figures->set_duplicate_pushes(count(pushes_duplicate_));
  figures->set_rejected_pushes(count(pushes_rejected_));
  figures->set_skipped_pushes(count(pushes_skipped_));
  figures->set_pulls(count(pulls_));
  figures->set_received_bytes(count(received_));
  figures->set_sent_bytes(count(sent_));
  for (const MetricCounter* refused : refused_) figures->set_refused_calls(figures->refused_calls() + count(refused));
  for (const MetricGauge* lane : queued_) {
    figures->set_queued_tasks(figures->queued_tasks() + static_cast<uint64_t>(lane->Value()));
  }
  figures->set_apply_seconds(apply_->Collect().histogram.sample_sum);
  figures->set_snapshots(snapshot_->Collect().histogram.sample_count);
  figures->set_failed_snapshots(count(snapshots_failed_));
  absl::MutexLock lock(&mu_);
  const absl::Time now = SteadyNow();
  if (snapshot_at_ != absl::InfinitePast()) {
    figures->set_snapshot_age_seconds(absl::ToDoubleSeconds(now - snapshot_at_));
    figures->set_snapshot_bytes(snapshot_bytes_);
    figures->set_snapshot_seconds(absl::ToDoubleSeconds(snapshot_took_));
  }
  if (error_.empty()) return;
  figures->set_last_error(error_);
  figures->set_last_error_age_seconds(absl::ToDoubleSeconds(now - error_at_));
}

}  // namespace samovar
