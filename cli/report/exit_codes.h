// The command's exit codes, and how it prints errors.
#pragma once

#include "absl/strings/string_view.h"

namespace samovar {

inline constexpr int kExitOk = 0;
// The command began its work and did not succeed.
inline constexpr int kExitFailed = 1;
// Flags, files or data are wrong; nothing was begun.
inline constexpr int kExitUsage = 2;
// The coordinator of a job that is followed no longer answers: how the job goes is not known. 3 is a server's alone.
inline constexpr int kExitLostContact = 4;
// Plus the signal's number: 130 for SIGINT, 143 for SIGTERM.
inline constexpr int kExitSignal = 128;

// "samovar: error: ..." and "samovar: warning: ..." on stderr.
void PrintError(absl::string_view text);
void PrintWarning(absl::string_view text);
// "samovar: ..." on stderr.
void PrintNotice(absl::string_view text);

}  // namespace samovar
