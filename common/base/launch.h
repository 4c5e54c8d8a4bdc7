// The agreement between a process and the one that started it.
#pragma once

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/stopper.h"

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

// Keeps the manager's line about this program as `text` says, until the stopper stops: looks every `interval`, and
// sends "STATUS=..." when the text is another. Without a manager it only waits.
void FollowStatus(const Stopper& stopper, absl::Duration interval, absl::FunctionRef<std::string()> text);
// Nobody reads a line more often.
inline constexpr absl::Duration kStatusInterval = absl::Seconds(5);

}  // namespace samovar
