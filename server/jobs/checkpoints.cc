#include "server/jobs/checkpoints.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/model/last_snapshot.h"

namespace samovar {
namespace {

// The first multiple of `interval` above t; kNever if the interval is 0.
uint64_t NextMultiple(int64_t interval, uint64_t t) {
  if (interval <= 0) return Checkpoints::kNever;
  const uint64_t step = static_cast<uint64_t>(interval);
  return (t / step + 1) * step;
}

}  // namespace

void Checkpoints::Begin(uint64_t iteration, bool tested) {
  const caffe::SolverParameter& solver = spec_.solver();
  // As Caffe's solver, which tests where it begins if it is at a multiple.
  const bool test_first =
      solver.test_interval() > 0 && iteration < max_iter() && !tested &&
      (iteration == 0 ? solver.test_initialization() : iteration % static_cast<uint64_t>(solver.test_interval()) == 0);
  next_snapshot_ = NextMultiple(solver.snapshot(), iteration);
  next_test_ = spec_.test_nets_size() == 0 ? kNever
               : test_first                ? iteration
                                           : NextMultiple(solver.test_interval(), iteration);
}

void Checkpoints::GoBack(uint64_t iteration, std::optional<uint64_t> untested) {
  active_ = false;
  complete_ = false;
  next_snapshot_ = std::min(next_snapshot_, NextMultiple(spec_.solver().snapshot(), iteration));
  if (untested.has_value() && *untested < max_iter()) next_test_ = std::min(next_test_, *untested);
}

uint64_t Checkpoints::limit() const { return std::min({next_snapshot_, next_test_, requested_, stop_at_}); }

std::optional<Checkpoint> Checkpoints::Due(uint64_t done) const {
  if (active_) return std::nullopt;
  if (complete_) {
    return Checkpoint{max_iter(), WritesLastSnapshot(spec_.solver()) || last_requested_, spec_.test_nets_size() > 0,
                      requested_export_};
  }
  const uint64_t due = std::min({next_snapshot_, next_test_, requested_});
  if (due > done || due >= max_iter()) return std::nullopt;
  const bool requested = due == requested_;
  return Checkpoint{due, due == next_snapshot_ || requested, due == next_test_, requested ? requested_export_ : ""};
}

void Checkpoints::Pass(const Checkpoint& checkpoint) {
  if (checkpoint.iteration == next_snapshot_) next_snapshot_ = NextMultiple(spec_.solver().snapshot(), next_snapshot_);
  if (checkpoint.iteration == requested_) {
    requested_ = kNever;
    requested_export_.clear();
  }
  if (checkpoint.iteration == next_test_) next_test_ = NextMultiple(spec_.solver().test_interval(), next_test_);
}

uint64_t Checkpoints::StopAt(uint64_t iteration, bool last) {
  if (last) stop_at_ = iteration;
  return iteration;
}

absl::StatusOr<Checkpoints::Answer> Checkpoints::Request(const std::string& export_to, bool last,
                                                         const Progress& progress) {
  if (!export_to.empty()) {
    if (!requested_export_.empty() && requested_export_ != export_to) {
      return absl::FailedPreconditionError(
          absl::StrCat("is about to export a snapshot to ", requested_export_, "; ask again when it has"));
    }
    if (complete_) return absl::FailedPreconditionError("is done but for its last snapshot and tests");
    requested_export_ = export_to;
    last_requested_ = true;
  }
  if (requested_ != kNever) return Answer{StopAt(requested_, last)};
  const uint64_t iteration = std::max(progress.leased, progress.done);
  if (complete_ || iteration >= max_iter()) {
    last_requested_ = true;
    return Answer{max_iter()};
  }
  if (progress.newest == iteration && export_to.empty()) return Answer{StopAt(iteration, last)};
  requested_ = StopAt(iteration, last);
  return Answer{iteration, true};
}

}  // namespace samovar
