// Logging: one line an event on standard error, in the form of log_format.h. The door to spdlog.
//
// Thread safety: any function may be called from any thread; InitLogging once, at the start of main.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace samovar {

struct LogOptions {
  // Stands in each line: "server", "worker".
  std::string process;
  // trace, debug, info, warning, error or off.
  std::string level = "info";
  // text or json.
  std::string format = "text";
};

// INVALID_ARGUMENT: unknown level or format.
absl::Status InitLogging(const LogOptions& options);

void LogDebug(absl::string_view text);
void LogInfo(absl::string_view text);
void LogWarning(absl::string_view text);
void LogError(absl::string_view text);

}  // namespace samovar
