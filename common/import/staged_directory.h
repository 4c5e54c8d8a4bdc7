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

namespace samovar {

// The path of a data set's directory as it is used, without slashes at its end. ALREADY_EXISTS: there is something, and
// `force` is not set; with `force`, anything but an LMDB or a partitioned set is still refused.
absl::StatusOr<std::string> CheckSetTarget(const std::string& path, bool force);

class StagedDirectory {
 public:
  // Makes the parents of the target, too.
  static absl::StatusOr<std::unique_ptr<StagedDirectory>> Create(const std::string& target);
  ~StagedDirectory();
  StagedDirectory(const StagedDirectory&) = delete;
  StagedDirectory& operator=(const StagedDirectory&) = delete;

  const std::string& path() const { return path_; }

  // Moves the directory to its place; removes the one that was there.
  absl::Status MoveTo(const std::string& target);

 private:
  explicit StagedDirectory(std::string path) : path_(std::move(path)) {}

  std::string path_;
};

}  // namespace samovar
