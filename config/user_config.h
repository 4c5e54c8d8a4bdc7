// The coordinator that a user need not type: of the environment, else of the user's configuration file.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"

namespace samovar {

inline constexpr char kCoordinatorVariable[] = "SAMOVAR_COORDINATOR";

// A flag's value that does not come from the command line.
struct UserSetting {
  std::string value;
  // Where it comes from: the variable, or the file.
  std::string source;
};

// $XDG_CONFIG_HOME/samovar/samovar.toml, else ~/.config/samovar/samovar.toml; empty: there is no such directory.
std::string UserConfigPath();

// SAMOVAR_COORDINATOR, if it is not empty, else the key `coordinator` of the user's file; nothing: neither names one.
// Errors name the file, the line and the key.
absl::StatusOr<std::optional<UserSetting>> FindUserCoordinator();

}  // namespace samovar
