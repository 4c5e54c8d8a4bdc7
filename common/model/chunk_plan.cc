#include "common/model/chunk_plan.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace samovar {
namespace {

constexpr uint64_t kChunksPerThread = 16;
constexpr uint64_t kSizeStep = 1 << 10;
constexpr uint64_t kUsualLargest = 64 << 10;
constexpr uint64_t kManyChunks = 64 << 10;

}  // namespace

absl::StatusOr<ChunkPlan> ChunkPlan::Create(uint64_t elements, uint32_t chunk_elements, uint32_t servers) {
  if (elements == 0) return absl::InvalidArgumentError("the model has no learnable parameters");
  if (servers == 0) return absl::InvalidArgumentError("a job needs at least one parameter server");
  if (chunk_elements < kMinChunkElements || chunk_elements > kMaxChunkElements) {
    return absl::InvalidArgumentError(absl::StrCat("chunk size ", chunk_elements, " is outside ", kMinChunkElements,
                                                   "..", kMaxChunkElements, " floats"));
  }
  if ((elements - 1) / chunk_elements >= UINT32_MAX) {
    return absl::InvalidArgumentError(absl::StrCat("a model of ", elements, " parameters is too large"));
  }
  return ChunkPlan(elements, chunk_elements, servers);
}

ChunkPlan::ChunkPlan(uint64_t elements, uint32_t chunk_elements, uint32_t servers)
    : elements_(elements),
      chunk_elements_(chunk_elements),
      servers_(servers),
      chunks_(static_cast<uint32_t>((elements + chunk_elements - 1) / chunk_elements)) {}

uint32_t ChunkPlan::ChooseChunkElements(uint64_t elements, uint32_t apply_threads) {
  const uint64_t wanted_chunks = std::max<uint64_t>(1, apply_threads) * kChunksPerThread;
  const uint64_t ideal = (elements + wanted_chunks - 1) / wanted_chunks;
  const uint64_t rounded = (ideal + kSizeStep - 1) / kSizeStep * kSizeStep;
  uint64_t size = std::clamp<uint64_t>(rounded, kMinChunkElements, kUsualLargest);
  if (elements / size > kManyChunks) size = kMaxChunkElements;
  return static_cast<uint32_t>(size);
}

uint32_t ChunkPlan::size(uint32_t chunk) const {
  return static_cast<uint32_t>(std::min<uint64_t>(chunk_elements_, elements_ - begin(chunk)));
}

std::vector<uint32_t> ChunkPlan::ChunksOf(uint32_t server) const {
  std::vector<uint32_t> result;
  for (uint32_t chunk = server; chunk < chunks_; chunk += servers_) result.push_back(chunk);
  return result;
}

}  // namespace samovar
