#include "server/snapshot/share_export.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/storage/checksum.h"
#include "common/storage/paths.h"
#include "common/storage/write_file.h"
#include "server/snapshot/chunk_record.h"

namespace samovar {

absl::StatusOr<v1::ExportedFile> ExportShare(const std::string& directory, const v1::SnapshotInfo& info,
                                             std::span<const ChunkImage> chunks, const StorageTable& storage) {
  if (!IsSamePlaceEverywhere(directory)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the directory \"", directory, "\" to export to is no absolute path"));
  }
  v1::ExportedFile file;
  file.set_name(absl::StrCat("server-", info.share(), "-of-", info.servers(), ".chunks"));
  const std::string path = absl::StrCat(directory, "/", file.name());
  uint64_t offset = 0;
  SAMOVAR_RETURN_IF_ERROR(storage.Put(path, [&](int fd) -> absl::Status {
    for (const ChunkImage& image : chunks) {
      const std::string record = MakeChunkRecord(image);
      SAMOVAR_RETURN_IF_ERROR(WriteAll(path, record, fd));
      v1::ExportedChunk* const place = file.add_chunks();
      place->set_chunk(image.chunk);
      place->set_offset(offset);
      place->set_bytes(record.size());
      place->set_crc32(Crc32(record));
      offset += record.size();
    }
    return absl::OkStatus();
  }));
  file.set_bytes(offset);
  return file;
}

}  // namespace samovar
