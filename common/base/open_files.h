// Raises the limit of open files, and tells when they run out. Each process may open so many (ulimit -n), connections
// included, and gRPC of this version stops accepting for good, without a word, when one accept fails for want of a
// file.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

namespace samovar {

// Files that a server, a worker or a command needs in any case.
inline constexpr uint64_t kFewestOpenFiles = 64;
// So many of the files that a process may open are kept for its own, and not given to connections.
inline constexpr uint64_t kFilesBesideConnections = 32;

// Raises the soft limit of open files to the hard one, also for processes that are started from now on.
// FAILED_PRECONDITION: the limit is below `fewest`; the message names both. Call at the start of main.
absl::Status RaiseOpenFileLimit(uint64_t fewest = kFewestOpenFiles);

// Called with the limit, at most once in ten seconds, when a connection was closed as soon as it came since there were
// no files left for it (see open_files.cc). Any thread; must not block. Null: nobody is called.
void OnConnectionRefused(void (*report)(uint64_t limit));

}  // namespace samovar
