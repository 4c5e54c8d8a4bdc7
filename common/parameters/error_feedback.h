// ErrorFeedback sends the largest floats of each gradient and keeps the others, the residual, for the gradients after
// it.
//
// A chunk's push carries the k floats of (residual + gradient) that are largest by magnitude, k being a fixed ratio of
// the chunk's floats; the others are the new residual. So all floats that were sent, and the residual, add up to all
// gradients. A push may also be in full: then nothing is left (Seide et al., "1-bit SGD", 2014; Aji and Heafield,
// "Sparse communication", 2017).
//
// Exactly once. A chunk's residual changes when the result of the push is known, and no float of a gradient enters the
// model twice:
//   * applied: the residual is the rest.
//   * dropped, since the chunk had that iteration from another worker: the residual is the one from before, and the
//     gradient of this iteration is forgotten, for the other's was applied.
//   * unknown (the push was abandoned, or the chunk says that it has the iteration after the same was sent twice): the
//     floats that were sent are taken for applied, and the gradient is forgotten. If they did not arrive, that part of
//     the residual is lost.
// A chunk that a server has restored may lack iterations whose gradients are in the residual: see Forget.
// A chunk that is asked for twice in one push gives the same bytes.
//
// Thread safety: none.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/model/chunk_plan.h"
#include "samovar/v1/parameter.pb.h"

namespace samovar {

// Floats [begin, end) of the flat vector.
struct FloatRange {
  uint64_t begin = 0;
  uint64_t end = 0;
};

class ErrorFeedback {
 public:
  // Takes two floats of memory for each of the plan's. `ratio`: in (0, 1]. `whole`: ascending and disjoint; they are
  // always sent, beside the k: statistics, which must not be kept back.
  ErrorFeedback(const ChunkPlan& plan, double ratio, std::vector<FloatRange> whole);

  // Begins the push of another iteration. Results of the one before that Settle was not called with are unknown.
  void Begin(bool in_full);

  struct Payload {
    v1::Encoding encoding = v1::ENCODING_SPARSE;
    std::span<const char> bytes;
  };
  // The payload for the chunk's gradient; the bytes are valid until Begin. REQUIRES: as many floats as the chunk has
  Payload Encode(uint32_t chunk, std::span<const float> gradient);

  // The result of the push. REQUIRES: it was encoded
  void Settle(uint32_t chunk, bool applied);

  // The chunk's residual is lost: it is of iterations that the chunk has lost, and that a worker
  // computes again.
  void Forget(uint32_t chunk);

  // The residual's L2 norm.
  double Norm() const;
  std::span<const float> residual() const { return residual_; }

 private:
  enum class Outcome { kApplied, kDropped, kUnknown };
  struct Push {
    // Encoded and not settled yet; encoded more than once.
    bool open = false;
    bool repeated = false;
    v1::Encoding encoding = v1::ENCODING_SPARSE;
    std::vector<char> payload;
    // The floats in it, ascending; of a push in full, all.
    std::vector<uint32_t> places;
    // The sum of the residual's squares.
    double squares = 0;
  };

  std::span<float> Of(std::vector<float>* vector, uint32_t chunk) const;
  // The places of the k largest, and of those always sent, ascending.
  void Select(uint32_t chunk, std::span<const float> values, std::vector<uint32_t>* places);
  void End(uint32_t chunk, Outcome outcome);

  const ChunkPlan plan_;
  const double ratio_;
  const std::vector<FloatRange> whole_;
  bool in_full_ = false;
  std::vector<float> residual_;
  // Residual plus gradient of the chunks that are encoded, with the values that are sent set to zero.
  std::vector<float> left_;
  std::vector<Push> pushes_;
  // Kept for their memory.
  std::vector<uint32_t> magnitudes_;
  std::vector<uint32_t> candidates_;
};

}  // namespace samovar
