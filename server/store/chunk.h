// Chunk is the live unit of a server: weights, state and ledger, and the one step that changes them.
//
// Thread safety: none. A chunk is touched by its own apply thread only (see apply_threads.h), hence without a lock.
// Invariants:
//   (1) an update is in the weights if and only if its iteration is in the ledger.
//   (2) image().version == image().ledger.size().
#pragma once

#include <cstdint>
#include <span>
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
};

// Adds one chunk's counters to a sum.
void AddCounters(const v1::PushCounters& from, v1::PushCounters* sum);

}  // namespace samovar
