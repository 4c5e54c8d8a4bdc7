// What a process and the one that started it agree on.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace samovar {

// From now on this process gets SIGTERM when its parent dies; if the parent has died already, at once.
void EndWithParent();

// Writes "text\n" to the descriptor and closes it: the parent waits for the line. Does nothing if fd is negative. An error means
// that nobody waits any more.
absl::Status ReportReady(int fd, absl::string_view text);

}  // namespace samovar
