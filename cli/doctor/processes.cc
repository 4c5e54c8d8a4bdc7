#include "cli/doctor/processes.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/base/list_directory.h"
#include "common/base/read_file.h"

namespace samovar {
namespace {

// Far more than the kernel's files have.
constexpr uint64_t kMaxFileBytes = 16 << 20;
// The state of a socket that listens, in /proc/net/tcp.
constexpr char kListens[] = "0A";

std::string TextOf(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadFile(path, kMaxFileBytes);
  return text.ok() ? *text : "";
}

std::vector<int> ProcessIds(const std::string& proc) {
  std::vector<int> pids;
  const absl::StatusOr<std::vector<std::string>> names = ListDirectory(proc);
  if (!names.ok()) return pids;
  for (const std::string& name : *names) {
    int pid = 0;
    if (absl::SimpleAtoi(name, &pid)) pids.push_back(pid);
  }
  return pids;
}

NodeProcess ProcessOf(int pid, const std::string& proc) {
  return {pid, absl::StrSplit(TextOf(absl::StrCat(proc, "/", pid, "/cmdline")), '\0', absl::SkipEmpty())};
}

bool IsProgram(absl::string_view word, absl::string_view program) {
  return word == program || absl::EndsWith(word, absl::StrCat("/", program));
}

// "socket:[INODE]" of the sockets that listen on the port.
std::set<std::string> ListeningSockets(uint16_t port, const std::string& proc) {
  std::set<std::string> sockets;
  for (const char* const file : {"/self/net/tcp", "/self/net/tcp6"}) {
    const std::string text = TextOf(absl::StrCat(proc, file));
    for (const absl::string_view line : absl::StrSplit(text, '\n')) {
      // "sl local_address rem_address st tx:rx tr:tm->when retrnsmt uid timeout inode"; addresses are "HEX:PORT".
      const std::vector<std::string> fields = absl::StrSplit(line, ' ', absl::SkipEmpty());
      if (fields.size() < 10 || fields[3] != kListens) continue;
      const size_t colon = fields[1].rfind(':');
      uint32_t found = 0;
      if (colon == std::string::npos || !absl::SimpleHexAtoi(fields[1].substr(colon + 1), &found)) continue;
      if (found == port) sockets.insert(absl::StrCat("socket:[", fields[9], "]"));
    }
  }
  return sockets;
}

}  // namespace

std::vector<NodeProcess> ListProcesses(const std::string& proc) {
  std::vector<NodeProcess> processes;
  for (const int pid : ProcessIds(proc)) {
    NodeProcess process = ProcessOf(pid, proc);
    if (!process.words.empty()) processes.push_back(std::move(process));
  }
  return processes;
}

bool IsService(const NodeRole& role, const NodeProcess& process) {
  const auto& words = process.words;
  const bool is_program =
      std::any_of(words.begin(), words.end(), [&](const std::string& word) { return IsProgram(word, role.program()); });
  for (size_t i = 0; is_program && i < words.size(); ++i) {
    if (words[i] == absl::StrCat("--config=", role.file)) return true;
    if (words[i] == "--config" && i + 1 < words.size() && words[i + 1] == role.file) return true;
  }
  return false;
}

std::optional<NodeProcess> FindService(const NodeRole& role, const std::vector<NodeProcess>& processes) {
  for (const NodeProcess& process : processes) {
    if (IsService(role, process)) return process;
  }
  return std::nullopt;
}

std::optional<NodeProcess> FindListener(uint16_t port, const std::string& proc) {
  const std::set<std::string> sockets = ListeningSockets(port, proc);
  if (sockets.empty()) return std::nullopt;
  for (const int pid : ProcessIds(proc)) {
    const std::string directory = absl::StrCat(proc, "/", pid, "/fd");
    const absl::StatusOr<std::vector<std::string>> files = ListDirectory(directory);
    if (!files.ok()) continue;
    for (const std::string& file : *files) {
      std::error_code error;
      const std::string target = std::filesystem::read_symlink(absl::StrCat(directory, "/", file), error).string();
      if (!error && sockets.count(target) != 0) return ProcessOf(pid, proc);
    }
  }
  return std::nullopt;
}

std::optional<uint64_t> OpenFilesOf(int pid, const std::string& proc) {
  const std::string text = TextOf(absl::StrCat(proc, "/", pid, "/limits"));
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    // "Max open files            65536                65536                files"
    if (!absl::StartsWith(line, "Max open files")) continue;
    const std::vector<std::string> fields = absl::StrSplit(line, ' ', absl::SkipEmpty());
    uint64_t limit = 0;
    if (fields.size() >= 5 && absl::SimpleAtoi(fields[4], &limit)) return limit;
  }
  return std::nullopt;
}

}  // namespace samovar
