// The form of a log's lines: one line an event, for people or for programs.
//
//   2026-01-31T12:00:00.000Z I host worker[4711] worker=w1 job=lenet iteration=1200: text
//   {"time":"2026-01-31T12:00:00.000Z","level":"info","host":"host","process":"worker","pid":4711,"worker":"w1",...}
//
// Thread safety: pure functions; a LogScope belongs to its thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace spdlog {
class formatter;
}

namespace samovar {

// The job and iteration that an event is about, as far as its place in the program knows them.
struct LogFields {
  // Empty: of none. A text that begins with "job NAME: " is about that job.
  std::string job = "";
  std::optional<uint64_t> iteration = {};
};

// While it lives, the lines that its thread logs have these fields; those of the scope around it count no more.
class LogScope {
 public:
  explicit LogScope(LogFields fields);
  ~LogScope();
  LogScope(const LogScope&) = delete;
  LogScope& operator=(const LogScope&) = delete;

 private:
  LogFields before_;
};

// Those of the scope that this thread is in.
const LogFields& CurrentLogFields();

struct LogEvent {
  absl::Time time;
  // "info"
  std::string level;
  std::string host;
  std::string process;
  int pid = 0;
  // "worker" or "server", and its name or address; empty: not known.
  std::pair<std::string, std::string> member = {};
  LogFields fields = {};
  std::string text;
};

// Without a newline. All of both forms is UTF-8, whatever the event has.
std::string LogText(const LogEvent& event);
std::string LogJson(const LogEvent& event);

// From now on the process' lines name it as this server or worker. `kind`: "server" or "worker".
void SetLogMember(const std::string& kind, const std::string& name);

// `format`: "text" or "json"; null: there is no such format. `process`: "server".
std::unique_ptr<spdlog::formatter> MakeLogFormatter(const std::string& process, const std::string& format);

}  // namespace samovar
