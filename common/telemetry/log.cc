#include "common/telemetry/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "common/base/clock.h"
#include "common/base/printable.h"
#include "common/telemetry/log_format.h"
#include "common/telemetry/recent_log.h"
#include "common/telemetry/repeat_filter.h"

namespace samovar {
namespace {

constexpr size_t kMaxLineBytes = 16 << 10;

// As is the logger, the process' own. Never destroyed: threads may log until the process ends.
struct ProcessLines {
  RecentLog recent;
  absl::Mutex mu;
  RepeatFilter repeats ABSL_GUARDED_BY(mu);
};

ProcessLines& Lines() {
  static ProcessLines* const lines = new ProcessLines;
  return *lines;
}

spdlog::level::level_enum LevelOf(LogWeight weight) {
  switch (weight) {
    case LogWeight::kDebug:
      return spdlog::level::debug;
    case LogWeight::kInfo:
      return spdlog::level::info;
    case LogWeight::kWarning:
      return spdlog::level::warn;
    case LogWeight::kError:
      break;
  }
  return spdlog::level::err;
}

void WriteLine(LogWeight weight, const std::string& line) {
  // First: standard error may be stuck.
  Lines().recent.Add(weight, line, absl::Now());
  spdlog::log(LevelOf(weight), spdlog::string_view_t(line.data(), line.size()));
}

void WriteDue(absl::Time now) {
  std::vector<RepeatFilter::Told> due;
  {
    absl::MutexLock lock(&Lines().mu);
    due = Lines().repeats.TakeDue(now);
  }
  // They may be about another job than what this thread does now.
  const LogScope scope{LogFields()};
  for (const RepeatFilter::Told& told : due) WriteLine(told.weight, told.text);
}

void Write(LogWeight weight, absl::string_view text) {
  if (!spdlog::should_log(LevelOf(weight))) return;
  // Much of it comes from peers and files: each entry is one line.
  const std::string line = Printable(text, kMaxLineBytes);
  const absl::Time now = SteadyNow();
  bool write;
  {
    absl::MutexLock lock(&Lines().mu);
    write = Lines().repeats.Take(weight, line, now);
  }
  WriteDue(now);
  if (write) WriteLine(weight, line);
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

const RecentLog& ProcessLog() {
  WriteDue(SteadyNow());
  return Lines().recent;
}

void LogDebug(absl::string_view text) { Write(LogWeight::kDebug, text); }
void LogInfo(absl::string_view text) { Write(LogWeight::kInfo, text); }
void LogWarning(absl::string_view text) { Write(LogWeight::kWarning, text); }
void LogError(absl::string_view text) { Write(LogWeight::kError, text); }

}  // namespace samovar
