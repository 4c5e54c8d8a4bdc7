#include "common/telemetry/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "absl/strings/str_cat.h"
#include "common/base/printable.h"
#include "common/telemetry/log_format.h"

namespace samovar {
namespace {

constexpr size_t kMaxLineBytes = 16 << 10;

void Write(spdlog::level::level_enum level, absl::string_view text) {
  // Much of it comes from peers and files: each entry is one line.
  const std::string line = Printable(text, kMaxLineBytes);
  spdlog::log(level, spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace

absl::Status InitLogging(const LogOptions& options) {
  const spdlog::level::level_enum level = spdlog::level::from_str(options.level);
  if (level == spdlog::level::off && options.level != "off") {
    return absl::InvalidArgumentError(absl::StrCat("unknown log level \"", options.level,
                                                   "\"; there are trace, debug, info, warning, error and off"));
  }
  auto logger = std::make_shared<spdlog::logger>(options.process, std::make_shared<spdlog::sinks::stderr_sink_mt>());
  std::unique_ptr<spdlog::formatter> formatter = MakeLogFormatter(options.process, options.format);
  if (formatter == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("unknown log format \"", options.format, "\"; there are text and json"));
  }
  logger->set_formatter(std::move(formatter));
  logger->set_level(level);
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
  return absl::OkStatus();
}

void LogDebug(absl::string_view text) { Write(spdlog::level::debug, text); }
void LogInfo(absl::string_view text) { Write(spdlog::level::info, text); }
void LogWarning(absl::string_view text) { Write(spdlog::level::warn, text); }
void LogError(absl::string_view text) { Write(spdlog::level::err, text); }

}  // namespace samovar
