// JobFigures keeps a job's loss, outputs and rate, from its workers' reports.
//
// Callers pass the time (SteadyNow()). Thread safety: none; guarded by its owner.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "common/model/ledger.h"
#include "samovar/v1/coordinator.pb.h"
#include "samovar/v1/job.pb.h"
#include "server/jobs/display_log.h"
#include "server/jobs/job_history.h"
#include "server/jobs/progress_rate.h"
#include "server/jobs/skipped_iterations.h"

namespace samovar {

class JobFigures {
 public:
  // The spec outlives this.
  explicit JobFigures(const v1::JobSpec* spec) : spec_(*spec), displays_(spec), history_(spec) {}

  // Records that an iteration consumes.
  uint64_t SamplesOfIteration() const;

  // The job begins, with these iterations done. Returns as DisplayLog::Begin.
  std::optional<std::pair<uint64_t, uint64_t>> Begin(const Ledger& done, absl::Time now);
  // A part of an iteration is done, the only one if iterations do not come in parts.
  void AddPart(const v1::TrainResult& part);
  // The last part of the iteration was added. If the iteration was skipped, the reason; else empty.
  std::string EndIteration(uint64_t iteration);
  // These iterations are done after all; the others come again, with all their parts.
  void TakeBack(const Ledger& done);
  // So many iterations are done in all.
  void CountDone(uint64_t done, absl::Time now);
  // All iterations below the watermark are done.
  void Advance(uint64_t watermark, absl::Time now);

  const DisplayLog& displays() const { return displays_; }
  DisplayLog& displays() { return displays_; }
  const JobHistory& history() const { return history_; }
  JobHistory& history() { return history_; }
  const SkippedIterations& skipped() const { return skipped_; }
  SkippedIterations& skipped() { return skipped_; }

  // Loss, outputs, rates and the time that is left. `until`: now, or when the job has ended, in which case nothing is
  // left and nothing moves.
  void WriteTo(v1::JobStatus* status, uint64_t done, absl::Time until, bool ended) const;

 private:
  // So many losses are kept, or as many as the solver's average_loss.
  static constexpr size_t kSmoothedLosses = 100;

  size_t AverageLoss() const { return static_cast<size_t>(std::max(1, spec_.solver().average_loss())); }
  // The mean of so many of the newest losses, or of as many as there are.
  double MeanLoss(size_t count) const;

  const v1::JobSpec& spec_;
  // The iterations that have some parts done: the sums of these parts' results.
  std::map<uint64_t, v1::TrainResult> part_sums_;
  // The last iterations'.
  std::deque<float> losses_;
  uint64_t newest_iteration_ = 0;
  // The newest iteration's: means over its parts.
  std::vector<float> outputs_;
  // The norm of the residual that the worker has kept which reported it.
  double residual_norm_ = 0;
  ProgressRate rate_;
  absl::Time began_;
  DisplayLog displays_;
  JobHistory history_;
  SkippedIterations skipped_;
};

// Notices of a job that are kept, the newest.
inline constexpr int kMaxNotices = 32;

// Shortens the texts of a status from the job table to the bounds of new ones.
void BoundTexts(v1::JobStatus* status);

}  // namespace samovar
