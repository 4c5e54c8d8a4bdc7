// A program's dealings with the dynamic loader, which starts it and picks the engine's library for this CPU.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace samovar {

// Sees to it that the engine is not above the instruction-set level that the environment variable SAMOVAR_ISA names:
// "v2", "v3" or "v4". If the level in use ("x86-64-v3") is higher, runs the program again with a loader that keeps to
// it, and does not return. OK: the variable is not set, or the level is the one in use. INVALID_ARGUMENT: it is no
// level; FAILED_PRECONDITION: it is higher than the one in use, or cannot be kept to. Call first in main: the program
// begins anew, and threads end.
absl::Status KeepToInstructionSet(absl::string_view in_use, char** argv);

// The file of this program, absolute. A program that the loader was run with goes by its argv[0] (the loader's
// --argv0), which must be absolute: INTERNAL if it is not.
absl::StatusOr<std::string> ProgramPath();

}  // namespace samovar
