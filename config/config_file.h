// A configuration file in TOML: the flags of a program, without their dashes, as `key = value`, a line each.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "absl/status/status.h"

namespace samovar {

// Gives the app's options the values in the file, apart from those that the command line has given already. Options
// that are not configurable() are refused. INVALID_ARGUMENT names file, line and key: a line has another
// form, a key is unknown or comes twice, the option's own checks refuse a value; other errors: the file
// cannot be read.
absl::Status ReadConfigFile(const std::string& path, CLI::App* app);

// Gives an option the value, as if the command line had it. INVALID_ARGUMENT: its checks refuse it.
absl::Status SetOption(const std::string& value, CLI::Option* option);

}  // namespace samovar
