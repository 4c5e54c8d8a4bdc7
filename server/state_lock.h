// StateLock says that a state directory is in use: two servers with one directory would take each other's registrations
// and snapshots for their own.
//
// Thread safety: none needed.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace samovar {

class StateLock {
 public:
  // Takes the directory, which is made if it is not there, until the object or the process ends, however it ends.
  // FAILED_PRECONDITION: another process has it; the message names its host and process id. UNAVAILABLE: the file
  // cannot be made.
  static absl::StatusOr<StateLock> Take(const std::string& directory);
  StateLock(StateLock&& other) noexcept;
  StateLock& operator=(StateLock&& other) noexcept;
  ~StateLock();

 private:
  explicit StateLock(int fd) : fd_(fd) {}

  // The file DIRECTORY/lock, which holds "pid N on HOST"; -1: moved from.
  int fd_;
};

}  // namespace samovar
