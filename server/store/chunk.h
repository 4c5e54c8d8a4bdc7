// Chunk is the live unit of a server: weights, state and ledger, and the one step that changes them.
//
// Staleness. A gradient that was computed from weights of s updates ago is applied late, and with momentum a late step is what makes
// training diverge: on a quadratic, momentum 0.9 allows a rate of 3.8 over the curvature at s = 0, of 0.1 at s = 1 and of 0.035
// at s = 3. Two things keep it near 0.1 for any s, and change nothing at s = 0:
//   * weights are pulled as they will be when the gradient comes back, as far as is known: moved on by the momentum of as many
//     updates as the chunk's pushes are late on average (0.07 at s = 3; linear weight prediction, Kosson et al.,
//     "Pipelined backpropagation at scale", 2021);
//   * the rate of a push is multiplied by min(1, 2 / (1 + s)) (after Zhang et al., "Staleness-aware async-SGD", 2016).
// Together: 0.14 at s = 3, 0.10 at 7, 0.08 at 15.
//
// Thread safety: none. A chunk is touched by its own apply thread only (see apply_threads.h), hence without a lock.
// Invariants:
//   (1) an update is in the weights if and only if its iteration is in the ledger.
//   (2) image().version == image().ledger.size().
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "samovar/v1/parameter.pb.h"
#include "server/snapshot/chunk_image.h"
#include "server/store/solver_rule.h"

namespace samovar {

// The parts of the floats [begin, end) of the flat vector that are updated alike, as positions from `begin`. Blobs side by
// side with the same rule and settings share a segment. REQUIRES: CheckLayout(layout).ok()
std::vector<RuleSegment> BuildSegments(const v1::ParameterLayout& layout, uint64_t begin, uint64_t end);

class Chunk {
 public:
  // `image` may be unfilled: version 0, with weights and states of the right length.
  Chunk(ChunkImage image, std::vector<RuleSegment> segments);
  Chunk(const Chunk&) = delete;
  Chunk& operator=(const Chunk&) = delete;

  // Applies one iteration's gradient. Returns true if it was applied, false if the ledger holds t already.
  // INVALID_ARGUMENT, and nothing is changed: the gradient has another length, or NaN or infinity in it.
  // `pulled_version` is the version that the gradient was computed from.
  absl::StatusOr<bool> Push(const SolverRule& rule, uint64_t t, uint64_t pulled_version,
                            std::span<const float> gradient);

  // What a worker is given to compute with; see above.
  void AppendPulled(const SolverRule& rule, std::string* payload) const;

  const ChunkImage& image() const { return image_; }
  // What the chunk begins as, for whoever makes the job. REQUIRES: nothing was pushed yet; lengths stay.
  ChunkImage& initial_image() { return image_; }
  // Of the pushes to this chunk since it was made.
  const v1::PushCounters& counters() const { return counters_; }

 private:
  ChunkImage image_;
  // Views of image_.state.
  const std::vector<std::span<float>> state_;
  const std::vector<RuleSegment> segments_;
  v1::PushCounters counters_;
  // Moving average over the pushes. Not part of the image: it belongs to the present workers.
  double staleness_ = 0;
};

// Adds one chunk's counters to a sum.
void AddCounters(const v1::PushCounters& from, v1::PushCounters* sum);

}  // namespace samovar
