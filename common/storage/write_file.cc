#include "common/storage/write_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "common/base/list_directory.h"
#include "common/base/read_file.h"
#include "common/base/status_macros.h"
#include "common/storage/paths.h"

namespace samovar {
namespace {

std::string DirectoryOf(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

// So that a rename in it outlives a crash of the machine.
absl::Status SyncDirectory(const std::string& directory) {
  const int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, "open", directory);
  const int error = fsync(fd) == 0 ? 0 : errno;
  close(fd);
  // Some file systems cannot, and need not.
  return error == 0 || error == EINVAL ? absl::OkStatus() : ErrnoStatus(error, "synchronise", directory);
}

// The longest that TemporaryName puts behind a name.
constexpr absl::string_view kLongestSuffix = ".4194304.9999999.tmp";

// A name beside `path` that no other writer uses.
std::string TemporaryName(const std::string& path) {
  static std::atomic<uint64_t> counter{0};
  return absl::StrCat(path, ".", getpid(), ".", counter.fetch_add(1, std::memory_order_relaxed), ".tmp");
}

// Takes "TEXT.NUMBER" apart.
bool TakeNumber(absl::string_view* text, uint64_t* number) {
  const size_t dot = text->rfind('.');
  if (dot == absl::string_view::npos || dot + 1 == text->size()) return false;
  const absl::string_view digits = text->substr(dot + 1);
  if (!std::all_of(digits.begin(), digits.end(), [](unsigned char c) { return absl::ascii_isdigit(c); })) return false;
  *text = text->substr(0, dot);
  return absl::SimpleAtoi(digits, number);
}

// Whether TemporaryName has made the file in a process that has gone; `file` is then the name without its ending.
bool IsAbandoned(absl::string_view* file) {
  uint64_t number = 0, process = 0;
  if (!absl::ConsumeSuffix(file, ".tmp") || !TakeNumber(file, &number) || !TakeNumber(file, &process)) return false;
  constexpr uint64_t kMostProcesses = uint64_t{1} << 22;
  return process > 0 && process <= kMostProcesses && kill(static_cast<pid_t>(process), 0) != 0 && errno == ESRCH;
}

// Whether files and directories of these names can be made in a directory that there is.
absl::Status CheckTakes(const std::filesystem::path& directory, const std::filesystem::path& names,
                        const std::string& path) {
  if (access(directory.c_str(), W_OK | X_OK) != 0) return ErrnoStatus(errno, "write into", directory.string());
  const long longest = pathconf(directory.c_str(), _PC_NAME_MAX);  // NOLINT: its type
  for (const std::filesystem::path& name : names) {
    if (longest > 0 && name.native().size() > static_cast<size_t>(longest))
      return ErrnoStatus(ENAMETOOLONG, "write", path);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckWritable(const std::string& path) {
  const std::string written = absl::StrCat(path, kLongestSuffix);
  std::filesystem::path directory = DirectoryOf(path);
  std::filesystem::path names = std::filesystem::path(written).filename();
  struct stat found = {};
  if (stat(written.c_str(), &found) != 0 && errno != ENOENT) return ErrnoStatus(errno, "write", path);
  while (stat(directory.c_str(), &found) != 0) {
    if (errno != ENOENT) return ErrnoStatus(errno, "make the directory", directory.string());
    names = directory.filename() / names;
    directory = DirectoryOf(directory.string());
  }
  if (!S_ISDIR(found.st_mode)) return ErrnoStatus(ENOTDIR, "write into", directory.string());
  return CheckTakes(directory, names, path);
}

void RemoveAbandoned(const std::string& directory, absl::FunctionRef<bool(absl::string_view name)> is_ours) {
  for (const std::string& file : ListDirectory(directory).value_or(std::vector<std::string>())) {
    absl::string_view name = file;
    if (IsAbandoned(&name) && is_ours(name)) unlink(absl::StrCat(directory, "/", file).c_str());
  }
}

absl::Status CannotWrite(const std::string& path, const absl::Status& status) {
  const std::string context = absl::StrCat("cannot write ", path);
  return absl::StartsWith(status.message(), context) ? status : Annotate(status, context);
}

absl::Status WriteAll(const std::string& path, absl::string_view bytes, int fd) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR) return ErrnoStatus(errno, "write", path);
    if (written > 0) bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status WriteFileAtomically(const std::string& path, const std::function<absl::Status(int fd)>& write) {
  SAMOVAR_RETURN_IF_ERROR(LocalPath(path).status());
  const std::string directory = DirectoryOf(path);
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return ErrnoStatus(error.value(), "make the directory", directory);

  const std::string temporary = TemporaryName(path);
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0) return ErrnoStatus(errno, "write", path);
  absl::Cleanup remove = [&temporary] { unlink(temporary.c_str()); };
  const absl::Status written = write(fd);
  if (close(fd) != 0 && written.ok()) return ErrnoStatus(errno, "write", path);
  SAMOVAR_RETURN_IF_ERROR(written);
  SAMOVAR_RETURN_IF_ERROR(PublishFile(temporary, path));
  std::move(remove).Cancel();
  return absl::OkStatus();
}

absl::Status CreateFile(const std::string& path, absl::string_view bytes) {
  const std::string written = TemporaryName(path);
  const absl::Cleanup remove = [&written] { unlink(written.c_str()); };
  if (const absl::Status made = WriteBytesAtomically(written, bytes); !made.ok()) {
    return absl::Status(made.code(), absl::StrReplaceAll(made.message(), {{written, path}}));
  }
  // Unlike a renaming, a link replaces nothing.
  if (link(written.c_str(), path.c_str()) != 0) {
    if (errno == EEXIST) return absl::AlreadyExistsError(absl::StrCat(path, ": is there already"));
    return ErrnoStatus(errno, "write", path);
  }
  return SyncDirectory(DirectoryOf(path));
}

absl::Status PublishFile(const std::string& written, const std::string& path) {
  const int fd = open(written.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, "write", path);
  const int error = fsync(fd) == 0 ? 0 : errno;
  close(fd);
  if (error != 0) return ErrnoStatus(error, "write", path);
  if (rename(written.c_str(), path.c_str()) != 0) return ErrnoStatus(errno, "write", path);
  return SyncDirectory(DirectoryOf(path));
}

absl::Status WriteBytesAtomically(const std::string& path, absl::string_view bytes) {
  return WriteFileAtomically(path, [&](int fd) { return WriteAll(path, bytes, fd); });
}

}  // namespace samovar
