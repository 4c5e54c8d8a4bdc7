// FollowPatiently reads a stream of a coordinator that may be started again meanwhile.
#pragma once

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace samovar {

// Calls `read` until the stream has ended well or with an error that does not pass by itself, tells the user about
// errors, and returns the command's exit code. `read` reads one stream to its end, and says whether anything came; what
// came before must not come again. A coordinator that has never answered is an error at once; one that did is waited
// for up to a minute, then the code is kExitLostContact.
int FollowPatiently(absl::FunctionRef<absl::Status(bool* heard)> read);

}  // namespace samovar
