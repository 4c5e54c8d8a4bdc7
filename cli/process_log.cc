#include "cli/process_log.h"

#include <iostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cli/report/exit_codes.h"
#include "cli/report/json_line.h"
#include "cli/run/follow_patiently.h"
#include "cli/run/job_client.h"
#include "common/base/printable.h"

namespace samovar {
namespace {

// As the process' own log has it, and its name in JSON.
struct LevelName {
  const char* letter;
  const char* word;
};

LevelName NameOf(v1::LogLevel level) {
  switch (level) {
    case v1::LOG_LEVEL_DEBUG:
      return {"D", "debug"};
    case v1::LOG_LEVEL_INFO:
      return {"I", "info"};
    case v1::LOG_LEVEL_WARNING:
      return {"W", "warning"};
    case v1::LOG_LEVEL_ERROR:
      return {"E", "error"};
    default:
      return {"?", "unknown"};
  }
}

std::string LineText(const std::string& member, const v1::LogLine& line, bool json) {
  const LevelName level = NameOf(line.level());
  if (json) {
    return JsonLine()
        .Text("member", member)
        .Integer("number", line.number())
        .Integer("unix_ms", line.unix_ms())
        .Text("level", level.word)
        .Text("text", line.text())
        .Finish();
  }
  const absl::Time time = absl::FromUnixMillis(static_cast<int64_t>(line.unix_ms()));
  return absl::StrCat(absl::FormatTime("%Y-%m-%d %H:%M:%E3S", time, absl::LocalTimeZone()), " ", level.letter, " ",
                      Printable(line.text()));
}

// LogPrinter writes the parts of a log, and says where lines are missing.
class LogPrinter {
 public:
  explicit LogPrinter(bool json) : json_(json) {}

  void Take(const v1::ProcessLogPart& part) {
    if (!part.member().empty()) member_ = part.member();
    for (const v1::LogLine& line : part.lines()) {
      // A coordinator that was started again has been sent all lines anew. A process that was counts from 1 again.
      if (line.number() <= newest_ && line.unix_ms() <= newest_unix_ms_) continue;
      if (newest_ != 0 && line.number() > newest_ + 1 && !json_)
        std::cout << "(" << line.number() - newest_ - 1 << " lines between are not kept)\n";
      newest_ = line.number();
      newest_unix_ms_ = line.unix_ms();
      std::cout << LineText(member_, line, json_) << "\n";
    }
    std::cout.flush();
    if (part.lost() != lost_) PrintWarning(absl::StrCat(member_, part.lost().empty() ? " is back" : " ", part.lost()));
    lost_ = part.lost();
  }

 private:
  const bool json_;
  std::string member_;
  std::string lost_;
  uint64_t newest_ = 0;
  uint64_t newest_unix_ms_ = 0;
};

}  // namespace

int RunProcessLog(const LogsOptions& options) {
  v1::GetProcessLogRequest request;
  request.set_worker(options.worker);
  request.set_server(options.server);
  request.set_lines(static_cast<uint32_t>(options.lines));
  request.set_follow(options.follow);
  const JobClient client(options);
  LogPrinter printer(options.json);
  const auto read = [&](bool* heard) {
    return client.ProcessLog(request, [&](const v1::ProcessLogPart& part) {
      // Those lines that came while nobody was there are not left out.
      request.clear_lines();
      *heard = true;
      printer.Take(part);
    });
  };
  return FollowPatiently(read);
}

}  // namespace samovar
