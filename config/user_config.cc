#include "config/user_config.h"

#include <CLI/CLI.hpp>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "config/config_file.h"

namespace samovar {
namespace {

std::string Variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

std::string UserConfigPath() {
  std::string directory = Variable("XDG_CONFIG_HOME");
  if (directory.empty()) {
    const std::string home = Variable("HOME");
    if (home.empty()) return "";
    directory = absl::StrCat(home, "/.config");
  }
  return absl::StrCat(directory, "/samovar/samovar.toml");
}

absl::StatusOr<std::optional<UserSetting>> FindUserCoordinator() {
  if (const std::string value = Variable(kCoordinatorVariable); !value.empty())
    return UserSetting{value, kCoordinatorVariable};
  const std::string path = UserConfigPath();
  if (path.empty()) return std::nullopt;
  CLI::App keys;
  std::string coordinator;
  keys.add_option("--coordinator", coordinator);
  const absl::Status read = ReadConfigFile(path, &keys);
  if (absl::IsNotFound(read)) return std::nullopt;
  SAMOVAR_RETURN_IF_ERROR(read);
  if (coordinator.empty()) return std::nullopt;
  return UserSetting{coordinator, path};
}

}  // namespace samovar
