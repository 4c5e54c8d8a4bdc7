// StagedDirectory is a data set that is being made: a directory beside its place, which is moved there when it is
// whole, and is removed with all it holds if it is not.
//
// Thread safety: one thread at a time.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/storage/storage_table.h"

namespace samovar {

// The path, or the URI, of a data set's directory as it is used, without slashes at its end. ALREADY_EXISTS: there is
// something, and `force` is not set; with `force`, anything but an LMDB or a partitioned set is still refused. In a
// storage a directory with partitions alone is no set.
absl::StatusOr<std::string> CheckSetTarget(const std::string& path, bool force, const StorageTable& storage);

class StagedDirectory {
 public:
  // Makes the parents of the target, too.
  static absl::StatusOr<std::unique_ptr<StagedDirectory>> Create(const std::string& target);
  // For a set that goes to a storage: in TMPDIR or /var/tmp. Removes those that killed processes have left there.
  static absl::StatusOr<std::unique_ptr<StagedDirectory>> CreateTemporary();
  ~StagedDirectory();
  StagedDirectory(const StagedDirectory&) = delete;
  StagedDirectory& operator=(const StagedDirectory&) = delete;

  const std::string& path() const { return path_; }

  // Moves the directory to its place. ALREADY_EXISTS: there is one that is not empty; with `replace` that one is
  // removed. Of several that are moved there at the same time without `replace` one succeeds.
  absl::Status MoveTo(const std::string& target, bool replace);

 private:
  explicit StagedDirectory(std::string path) : path_(std::move(path)) {}

  std::string path_;
};

}  // namespace samovar
