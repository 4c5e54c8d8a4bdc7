#include "server/coordinator/epoch_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace samovar {
namespace {

absl::Status SystemError(const std::string& what) {
  return absl::ErrnoToStatus(errno, what);
}

absl::Status WriteDurably(const std::string& path, const std::string& text) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return SystemError(absl::StrCat("cannot create ", path));
  const bool written = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(fd) == 0;
  const absl::Status status = written ? absl::OkStatus() : SystemError(absl::StrCat("cannot write ", path));
  close(fd);
  return status;
}

}  // namespace

absl::StatusOr<uint64_t> NextEpoch(const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return absl::UnavailableError(absl::StrCat("cannot create directory ", directory, ": ", error.message()));
  const std::string path = absl::StrCat(directory, "/epoch");
  uint64_t epoch = 0;
  if (std::ifstream file(path); file) {
    std::string text;
    std::getline(file, text);
    if (!absl::SimpleAtoi(text, &epoch)) {
      return absl::DataLossError(absl::StrCat(path, " does not hold a number; write one into it that is larger than any epoch in "
                                              "the servers' logs"));
    }
  }
  ++epoch;
  const std::string fresh = absl::StrCat(path, ".new");
  if (absl::Status status = WriteDurably(fresh, absl::StrCat(epoch, "\n")); !status.ok()) return status;
  if (rename(fresh.c_str(), path.c_str()) != 0) return SystemError(absl::StrCat("cannot replace ", path));
  const int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0) {
    fsync(fd);
    close(fd);
  }
  return epoch;
}

}  // namespace samovar
