// DirectoryLock says that a directory of state is in use: two servers, or two runs, with one directory would take each
// other's registrations and snapshots for their own.
//
// Thread safety: none needed.
#pragma once

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace samovar {

class DirectoryLock {
 public:
  // Takes the directory, which is made if it is not there, until the object or the process ends, however it ends. Waits
  // so long at most for another process to give it up. FAILED_PRECONDITION, with the message that `refusal` makes of
  // the holder ("pid N on HOST"): another process has it. Otherwise the system's error.
  static absl::StatusOr<DirectoryLock> Take(const std::string& directory, absl::Duration patience,
                                            absl::FunctionRef<std::string(const std::string& holder)> refusal);
  DirectoryLock(DirectoryLock&& other) noexcept;
  DirectoryLock& operator=(DirectoryLock&& other) noexcept;
  ~DirectoryLock();

 private:
  explicit DirectoryLock(int fd) : fd_(fd) {}

  // The file DIRECTORY/lock, which holds "pid N on HOST"; -1: moved from.
  int fd_;
};

}  // namespace samovar
