// v1.ChunkRecords: chunks as they are stored and exported.
//
// Thread safety: functions may be called from any thread.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/snapshot/chunk_image.h"

namespace samovar {

// The record, serialised.
std::string MakeChunkRecord(const ChunkImage& image);

// Decodes a record that is to be of `chunk`. DATA_LOSS: the message says what is wrong, and leaves it to the caller to
// name the chunk.
absl::StatusOr<ChunkImage> ParseChunkRecord(absl::string_view bytes, uint32_t chunk);

}  // namespace samovar
