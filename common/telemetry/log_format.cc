#include "common/telemetry/log_format.h"

#include <spdlog/formatter.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/mutex.h"
#include "common/base/printable.h"
#include "common/base/process_usage.h"
#include "common/base/utf8.h"

namespace samovar {
namespace {

constexpr char kTime[] = "%Y-%m-%dT%H:%M:%E3SZ";

LogFields& Fields() {
  thread_local LogFields fields;
  return fields;
}

// The process' own, as the logger is. Never destroyed: threads may log until the process ends.
struct Member {
  absl::Mutex mu;
  std::pair<std::string, std::string> member ABSL_GUARDED_BY(mu);
};

Member& ProcessMember() {
  static Member* const member = new Member;
  return *member;
}

// The job of a text "job NAME: ...", "job NAME FAILED: ..."; empty: it has none.
std::string JobIn(absl::string_view text) {
  if (!absl::ConsumePrefix(&text, "job ")) return "";
  const size_t end = text.find_first_of(": ");
  return end == absl::string_view::npos ? "" : std::string(text.substr(0, end));
}

std::string JobOf(const LogEvent& event) { return event.fields.job.empty() ? JobIn(event.text) : event.fields.job; }

std::string Json(absl::string_view text) {
  std::string json = "\"";
  while (!text.empty()) {
    const size_t bytes = Utf8CharacterBytes(text);
    const auto first = static_cast<unsigned char>(text[0]);
    if (bytes == 0) {
      json += "\\ufffd";
    } else if (first == '"' || first == '\\') {
      absl::StrAppend(&json, "\\", text.substr(0, 1));
    } else if (first < 0x20) {
      absl::StrAppend(&json, absl::StrFormat("\\u%04x", first));
    } else {
      absl::StrAppend(&json, text.substr(0, bytes));
    }
    text.remove_prefix(std::max<size_t>(1, bytes));
  }
  return json + "\"";
}

// A field's value, as one word.
std::string Word(absl::string_view text) {
  const std::string word = Printable(text, kMaxPeerNameBytes);
  const bool is_plain = !word.empty() && word.find_first_of(" \"=") == std::string::npos;
  return is_plain ? word : absl::StrCat("\"", absl::StrReplaceAll(word, {{"\"", "\\\""}}), "\"");
}

const char* LevelName(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::trace:
      return "trace";
    case spdlog::level::debug:
      return "debug";
    case spdlog::level::info:
      return "info";
    case spdlog::level::warn:
      return "warning";
    default:
      return "error";
  }
}

class LogFormatter : public spdlog::formatter {
 public:
  LogFormatter(std::string process, bool is_json)
      : process_(std::move(process)), host_(MachineName()), is_json_(is_json) {}

  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& line) override {
    LogEvent event;
    event.time = absl::FromChrono(message.time);
    event.level = LevelName(message.level);
    event.host = host_;
    event.process = process_;
    event.pid = getpid();
    {
      absl::MutexLock lock(&ProcessMember().mu);
      event.member = ProcessMember().member;
    }
    event.fields = CurrentLogFields();
    event.text = std::string(message.payload.data(), message.payload.size());
    const std::string text = absl::StrCat(is_json_ ? LogJson(event) : LogText(event), "\n");
    line.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<LogFormatter>(process_, is_json_);
  }

 private:
  const std::string process_;
  const std::string host_;
  const bool is_json_;
};

}  // namespace

LogScope::LogScope(LogFields fields) : before_(std::exchange(Fields(), std::move(fields))) {}

LogScope::~LogScope() { Fields() = std::move(before_); }

const LogFields& CurrentLogFields() { return Fields(); }

std::string LogText(const LogEvent& event) {
  std::string line = absl::StrCat(absl::FormatTime(kTime, event.time, absl::UTCTimeZone()), " ",
                                  absl::AsciiStrToUpper(event.level.substr(0, 1)), " ", Word(event.host), " ",
                                  event.process, "[", event.pid, "]");
  if (!event.member.first.empty()) absl::StrAppend(&line, " ", event.member.first, "=", Word(event.member.second));
  if (const std::string job = JobOf(event); !job.empty()) absl::StrAppend(&line, " job=", Word(job));
  if (event.fields.iteration.has_value()) absl::StrAppend(&line, " iteration=", *event.fields.iteration);
  return absl::StrCat(line, ": ", event.text);
}

std::string LogJson(const LogEvent& event) {
  std::string line = absl::StrCat("{\"time\":\"", absl::FormatTime(kTime, event.time, absl::UTCTimeZone()),
                                  "\",\"level\":", Json(event.level), ",\"host\":", Json(event.host),
                                  ",\"process\":", Json(event.process), ",\"pid\":", event.pid);
  if (!event.member.first.empty())
    absl::StrAppend(&line, ",", Json(event.member.first), ":", Json(event.member.second));
  if (const std::string job = JobOf(event); !job.empty()) absl::StrAppend(&line, ",\"job\":", Json(job));
  if (event.fields.iteration.has_value()) absl::StrAppend(&line, ",\"iteration\":", *event.fields.iteration);
  return absl::StrCat(line, ",\"message\":", Json(event.text), "}");
}

void SetLogMember(const std::string& kind, const std::string& name) {
  absl::MutexLock lock(&ProcessMember().mu);
  ProcessMember().member = {kind, name};
}

std::unique_ptr<spdlog::formatter> MakeLogFormatter(const std::string& process, const std::string& format) {
  if (format != "text" && format != "json") return nullptr;
  return std::make_unique<LogFormatter>(process, format == "json");
}

}  // namespace samovar
