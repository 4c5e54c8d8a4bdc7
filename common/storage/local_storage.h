// LocalStorage is this machine's file system with its mounts: a path, or "file:" with one behind it.
//
// Thread safety: stateless.
#pragma once

#include "common/storage/storage.h"

namespace samovar {

class LocalStorage : public Storage {
 public:
  absl::StatusOr<std::string> Fetch(const std::string& uri) override;
  absl::Status Put(const std::string& uri, const std::function<absl::Status(int fd)>& write) override;
  absl::Status Create(const std::string& uri, absl::string_view bytes) override;
  absl::StatusOr<StoredFile> Stat(const std::string& uri) override;
  absl::StatusOr<std::vector<StoredFile>> List(const std::string& uri) override;
  absl::Status Remove(const std::string& uri) override;
  absl::Status MakeDirectory(const std::string& uri) override;
  absl::Status CheckWritable(const std::string& uri) override;
  absl::StatusOr<std::unique_ptr<RangeReader>> OpenRange(const std::string& uri, uint64_t offset,
                                                         uint64_t bytes) override;
};

}  // namespace samovar
