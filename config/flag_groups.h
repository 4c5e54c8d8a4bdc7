// The groups of flags and of commands in the help.
#pragma once

#include <CLI/CLI.hpp>

namespace samovar {

// Flags that belong to no group: they come last. A test allows it --help and --version alone.
inline constexpr char kOtherFlags[] = "Other flags";

// Gives each flag of the command, and of the commands below it, its group, and each command below it.
void GroupFlags(CLI::App* command);

}  // namespace samovar
