// The agreement between a process and the one that started it.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace samovar {

// From now on this process gets SIGTERM when its parent dies; if the parent has died already, at once.
void EndWithParent();

// Writes "text\n" to the descriptor and closes it: the parent waits for the line. Does nothing if fd is negative. An
// error means that nobody waits any more.
absl::Status ReportReady(int fd, absl::string_view text);

// Tells the service manager, if one runs this program and wants to know (NOTIFY_SOCKET in the environment), how it
// stands: lines in the words of sd_notify(3), "READY=1", "STOPPING=1", "STATUS=serves at ...". OK too if there is none.
// An error names the socket; the program is none the worse for it. Never waits.
absl::Status NotifyManager(absl::string_view lines);

}  // namespace samovar
