// Chunk is the live unit of a server: weights, state and ledger, and the one step that changes them.
//
// Late gradients. A gradient that was computed from weights of s updates ago is applied with its whole effect, as
// server/solver/lateness.h says: with a longer momentum, weights that are pulled ahead, a warm-up, and a cut of
// gradients that are much larger than is usual. s is the usual staleness at the chunk, not that of the push: where
// workers wait for each other, or for a processor, pushes come in bursts, the first of which are not late, but all the
// others follow before any worker has seen them. With s = 0 nothing of it is done, and all is Caffe's to the bit. A job
// may also have late gradients corrected for the updates that came between (past_weights.h).
//
// Parts. In a job whose iterations come in parts a chunk collects those of iteration t, t being its watermark, each
// alone or as the sum of a subtree of them (part_tree.h), and applies their mean when it has all of them. Nothing is
// ever late then. It keeps the weights from before its last update: a worker that computes a part again, of an
// iteration that this chunk has and others lack, must find the weights of that iteration everywhere.
//
// Clipping. If the sum over all parts is to be clipped, the chunk holds it, and the sums of its squares, until a worker
// sends the norm of the whole gradient. Each further part is a repetition then. The squares stay until those of the
// next iteration are there: a worker that computes a part again finds those of all chunks, or a chunk that is further
// and so knows that all have the iteration.
//
// Units. In a job with push_every above 1 a push is the displacement of a unit of iterations
// (common/model/push_units.h). All of them enter the ledger with it. Staleness is that of pushes.
//
// Thread safety: none. A chunk is touched by the tasks of its own lane only (see lanes.h), hence without a
// lock.
//
// Invariants:
//   (1) an update is in the weights if and only if its iteration is in the ledger; unless it was skipped: then it is in
//       the ledger, and among image().skipped, only.
//   (2) image().version == image().ledger.size().
//   (3) parts that wait for others, and sums that wait for their norm, are in none of the image: they are not in
//       snapshots.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/model/part_sum.h"
#include "common/model/part_tree.h"
#include "samovar/v1/parameter.pb.h"
#include "server/snapshot/chunk_image.h"
#include "server/solver/past_weights.h"
#include "server/solver/solver_rule.h"

namespace samovar {

// The floats [begin, end) of the flat vector, blob by blob, as positions from `begin`.
// REQUIRES: CheckLayout(layout).ok()
std::vector<RuleSegment> BuildSegments(const v1::ParameterLayout& layout, uint64_t begin, uint64_t end);

class Chunk {
 public:
  struct Clip {
    // The solver's clip_gradients and iter_size.
    float limit = 0;
    int passes = 1;
  };
  // As in OpenJobRequest.
  struct Options {
    uint32_t parts = 0;
    // Only with more than one part.
    std::optional<Clip> clip = std::nullopt;
    // Late gradients are applied as others.
    bool plain = false;
    float delay_compensation = 0;
    uint32_t push_every = 1;
  };

  // `image` may be unfilled: version 0, with weights and states of the right length.
  Chunk(ChunkImage image, std::vector<RuleSegment> segments, const Options& options);
  Chunk(const Chunk&) = delete;
  Chunk& operator=(const Chunk&) = delete;

  // Applies one iteration's gradient, or takes a subtree of its parts. Returns true if it was applied or taken, false
  // if the chunk has it already.
  //   INVALID_ARGUMENT     the gradient has another length, or NaN or infinity in it, or there is no such subtree,
  //                        or the correction for the delay overflows: nothing is changed
  //   FAILED_PRECONDITION  iterations come in parts, and this one does not come next
  //   ALREADY_EXISTS       iterations do not come in parts, and this one was skipped here: the pushing worker has
  //                        it skipped elsewhere, too
  // `pulled_version` is the version that the gradient was computed from. With push_every above 1 the `gradient` is the
  // displacement of the unit of `iterations` iterations from t on, as ExchangeRequest.iterations says; all of them
  // enter the ledger, or none. REQUIRES: each push is of a whole unit, and the ledger held whole units at the start
  absl::StatusOr<bool> Push(const SolverRule& rule, uint64_t t, uint64_t pulled_version,
                            std::span<const float> gradient, const PartRange& part = {}, uint64_t iterations = 1);

  // Enters one iteration, or a subtree of its parts, without an update: it then is in the ledger, and the weights are
  // as before. An iteration is skipped if any part of it is. Returns whether the iteration is, or will be, without an
  // update here; false: the chunk has an update of it already, and keeps it. Errors as of Push, but for those of
  // gradients.
  absl::StatusOr<bool> Skip(uint64_t t, const PartRange& part = {});

  // How far the chunk is: a number that grows. It is at `StageAt(watermark)` or beyond when it has applied all
  // iterations below, at `SummedStage(t)` or beyond when it knows the sums of squares of iteration t.
  static uint64_t StageAt(uint64_t watermark) { return 2 * watermark; }
  static uint64_t SummedStage(uint64_t t) { return 2 * t + 1; }
  uint64_t stage() const { return StageAt(image_.ledger.watermark()) + (summed_.empty() ? 0 : 1); }

  // As ChunkSquares.sums. REQUIRES: stage() >= SummedStage(t)
  std::span<const double> Squares(uint64_t t) const;
  // Applies iteration t's sum, as part of a gradient of this norm. Nothing to do if it is applied already.
  // FAILED_PRECONDITION: not all parts of it are here.
  absl::Status ApplyClipped(const SolverRule& rule, uint64_t t, double norm);

  // Writes the weights that a worker computes with, see above, as little-endian floats to `to`; returns the number of
  // updates in them. `watermark`: in a job whose iterations come in parts, the iteration that is to be computed; if the
  // chunk is one further, its weights of then.
  void WritePulled(const SolverRule& rule, std::optional<uint64_t> watermark, char* to);
  uint64_t PulledVersion(std::optional<uint64_t> watermark) const;

  const ChunkImage& image() const { return image_; }
  // The image to begin with, for the thread that makes the job. REQUIRES: nothing was pushed yet; lengths stay.
  ChunkImage& initial_image() { return image_; }
  // Counts of the pushes to this chunk since it was made.
  const v1::PushCounters& counters() const { return counters_; }
  // The staleness of the last push that was applied or taken.
  uint64_t last_staleness() const { return last_staleness_; }

 private:
  // The weights are to be those of before the last iteration.
  bool PullsPrevious(std::optional<uint64_t> watermark) const;
  absl::Status CheckPart(uint64_t t, const PartRange& part) const;
  bool Holds(uint64_t t, const PartRange& part);
  absl::Status AddPart(const SolverRule& rule, uint64_t t, const PartRange& part, std::span<const float> gradient);
  // If all parts that wait are there: applies them, holds their sum to be clipped, or enters that they are skipped.
  // `rule` may be null for the latter.
  absl::Status EndParts(const SolverRule* rule, uint64_t t);
  void Enter(const IterationRange& unit);
  void EnterSkipped(uint64_t t);
  // In pushes: versions count iterations, and only the last unit is shorter. None: the worker pulled before the server
  // was restored to an earlier version.
  std::optional<uint64_t> StalenessOf(uint64_t pulled_version) const;
  absl::Status ApplyWhole(const SolverRule& rule, const IterationRange& unit, uint64_t pulled_version,
                          std::optional<uint64_t> staleness, std::span<const float> gradient);
  absl::Status Reject(uint64_t t, const std::string& what);
  void Apply(const SolverRule& rule, const IterationRange& unit, std::optional<uint64_t> staleness,
             std::span<const float> gradient);
  // Whether gradients may come late and are to be treated as such.
  bool MayBeLate() const { return options_.parts == 0 && !options_.plain; }
  // REQUIRES: MayBeLate(), and the usual staleness is not 0
  void WriteAhead(const SolverRule& rule, const RuleSegment& segment, char* to);
  // LateStep.cut of a segment, by its index.
  float CutOf(size_t index, std::span<const float> gradient);
  // Pushes are no longer late: what is left of spread steps is applied at once.
  void EndSpreading(const SolverRule& rule);

  ChunkImage image_;
  // Views of image_.state.
  const std::vector<std::span<float>> state_;
  const std::vector<RuleSegment> segments_;
  const Options options_;
  // These two unused without parts. Empty before the first update.
  PartSum pending_;
  std::vector<float> previous_weights_;
  // Used by clipped jobs only: the mean of all parts of the next iteration, until it is applied; and the squares of the
  // last iteration that was summed.
  std::vector<float> summed_;
  std::optional<uint64_t> squares_of_;
  std::vector<double> squares_;
  // Empty without delay compensation.
  PastWeights given_;
  v1::PushCounters counters_;
  uint64_t last_staleness_ = 0;
};

}  // namespace samovar
