// ChunkPlan cuts a flat parameter vector into chunks and deals them to servers.
//
// Chunk c holds the floats [c * chunk_elements, min((c + 1) * chunk_elements, elements)) and lives at server c modulo
// the number of servers. Thread safety: immutable.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"

namespace samovar {

class ChunkPlan {
 public:
  static constexpr uint32_t kMinChunkElements = 4 << 10;
  static constexpr uint32_t kMaxChunkElements = 256 << 10;

  // INVALID_ARGUMENT: no elements, no servers, or a chunk size outside [kMinChunkElements, kMaxChunkElements].
  static absl::StatusOr<ChunkPlan> Create(uint64_t elements, uint32_t chunk_elements, uint32_t servers);

  // A size that gives each of `apply_threads` threads about sixteen chunks, so that all have work, the loads differ
  // little, and the last gradients of a backward pass do not wait for a large chunk to be filled: a multiple of 1 Ki
  // floats within the limits above, 64 Ki at most unless that made more than 64 Ki chunks.
  static uint32_t ChooseChunkElements(uint64_t elements, uint32_t apply_threads);

  uint64_t elements() const { return elements_; }
  uint32_t chunk_elements() const { return chunk_elements_; }
  uint32_t servers() const { return servers_; }
  uint32_t chunks() const { return chunks_; }

  // First float of a chunk, and its number of floats. REQUIRES: chunk < chunks()
  uint64_t begin(uint32_t chunk) const { return uint64_t{chunk} * chunk_elements_; }
  uint32_t size(uint32_t chunk) const;
  uint32_t server_of(uint32_t chunk) const { return chunk % servers_; }
  // The chunks of one server, ascending.
  std::vector<uint32_t> ChunksOf(uint32_t server) const;

 private:
  ChunkPlan(uint64_t elements, uint32_t chunk_elements, uint32_t servers);

  uint64_t elements_;
  uint32_t chunk_elements_;
  uint32_t servers_;
  uint32_t chunks_;
};

}  // namespace samovar
