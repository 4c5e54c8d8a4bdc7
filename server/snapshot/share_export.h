// One server's part of an exported snapshot (common/model/exported_snapshot.h).
//
// Thread safety: functions may be called from any thread. They do I/O.
#pragma once

#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "common/storage/storage_table.h"
#include "samovar/v1/snapshot.pb.h"
#include "server/snapshot/chunk_image.h"

namespace samovar {

// Writes chunks into a file of the directory, which is made if it is not there, and says where in the file they are.
// `info`: which of the job's shares this is. Durable when it returns. INVALID_ARGUMENT: the directory's path is not
// absolute; RESOURCE_EXHAUSTED: the disk is full.
absl::StatusOr<v1::ExportedFile> ExportShare(const std::string& directory, const v1::SnapshotInfo& info,
                                             std::span<const ChunkImage> chunks, const StorageTable& storage);

}  // namespace samovar
