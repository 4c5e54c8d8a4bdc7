// StoreMetrics are a parameter server's counts: chunks that were pushed and pulled, bytes, calls that were refused,
// times, and snapshots.
//
// Thread safety: all methods may be called from any thread. The metrics that are added to outlive this.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/telemetry/metrics.h"
#include "samovar/v1/status.pb.h"
#include "server/store/lanes.h"

namespace samovar {

class StoreMetrics {
 public:
  // Why a call was refused before it did anything. INVALID_ARGUMENT, an error of the call itself, is not counted as a
  // refusal.
  enum class Refusal {
    // It is of an older coordinator than one that has called, or of a newer one than any.
    kEpoch,
    // The job is open as another opening than the call means.
    kOpening,
    // Messages, or parameters, have taken all memory that they may.
    kMemory,
    // Too many requests wait for one lane.
    kQueue,
    // Too many pulls wait for other workers' iterations.
    kHeldPulls,
    // Too many streams are open.
    kStreams,
    // Too many other calls, or too long ones, are being worked on (RequestGate).
    kBusy,
  };
  static constexpr int kRefusals = 7;

  explicit StoreMetrics(Metrics* metrics);

  // Counts the refusal unless the status is OK; returns the status.
  absl::Status Refused(Refusal reason, absl::Status status);
  // Counts RESOURCE_EXHAUSTED only: there is no room.
  absl::Status RefusedForRoom(Refusal reason, absl::Status status);

  // One exchange was answered. Numbers of chunks: those that it pushed, and how many of these were applied, or were
  // there already (the others were rejected); and those that it pulled. `failed`: it was answered with an error.
  struct Answered {
    uint64_t pushed = 0;
    uint64_t applied = 0;
    uint64_t duplicates = 0;
    uint64_t pulled = 0;
    bool failed = false;
  };
  void CountAnswer(const Answered& answer);
  void CountSkipped(uint64_t chunks) { pushes_skipped_->Increment(static_cast<double>(chunks)); }
  void CountReceived(uint64_t bytes) { received_->Increment(static_cast<double>(bytes)); }
  void CountSent(uint64_t bytes) { sent_->Increment(static_cast<double>(bytes)); }
  // A lane has worked on one request for so long.
  void ObserveApply(absl::Duration time) { apply_->Observe(absl::ToDoubleSeconds(time)); }
  // A snapshot was written, with so many bytes, or was not, in so long.
  void CountSnapshot(absl::Duration time, const absl::StatusOr<uint64_t>& bytes);
  // An error that concerns the server itself, for its status.
  void NoteError(const std::string& error);

  // The counts as a server's status has them.
  void WriteTo(v1::ServerFigures* figures) const;

  // For objects that count their own refusals.
  MetricCounter* counter(Refusal reason) const { return refused_[static_cast<size_t>(reason)]; }
  // For so many lanes.
  Lanes::Counts LaneCounts(int lanes);

 private:
  Metrics& metrics_;
  std::vector<MetricCounter*> refused_;
  MetricCounter* const pushes_applied_;
  MetricCounter* const pushes_duplicate_;
  MetricCounter* const pushes_rejected_;
  MetricCounter* const pushes_skipped_;
  MetricCounter* const pulls_;
  MetricCounter* const received_;
  MetricCounter* const sent_;
  MetricHistogram* const apply_;
  MetricHistogram* const snapshot_;
  MetricCounter* const snapshots_failed_;
  MetricGauge* const last_snapshot_;
  // One a lane. Set before the lanes begin.
  std::vector<MetricGauge*> queued_;

  mutable absl::Mutex mu_;
  // The last snapshot, and the last error: when, by the steady clock.
  absl::Time snapshot_at_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
  absl::Duration snapshot_took_ ABSL_GUARDED_BY(mu_);
  uint64_t snapshot_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Time error_at_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
  std::string error_ ABSL_GUARDED_BY(mu_);
};

}  // namespace samovar
