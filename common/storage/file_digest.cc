#include "common/storage/file_digest.h"

#include <errno.h>
#include <unistd.h>

#include <limits>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/base/digest.h"
#include "common/base/read_file.h"
#include "common/base/status_macros.h"

namespace samovar {
namespace {

constexpr size_t kBlock = size_t{1} << 20;
// Enough to tell two contents apart, for people.
constexpr size_t kShownDigits = 12;

}  // namespace

absl::StatusOr<std::string> DigestOfFile(const std::string& path, const StorageTable& storage) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string local, storage.Fetch(path));
  return DigestOfLocalFile(local);
}

absl::StatusOr<std::string> DigestOfLocalFile(const std::string& path) {
  SAMOVAR_ASSIGN_OR_RETURN(const int file, OpenForReading(path, std::numeric_limits<int64_t>::max()));
  const absl::Cleanup closer = [file] { close(file); };
  Digest digest;
  std::vector<char> block(kBlock);
  while (true) {
    const ssize_t count = read(file, block.data(), block.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ErrnoStatus(errno, "read", path);
    if (count == 0) return digest.Hex();
    digest.Add({block.data(), static_cast<size_t>(count)});
  }
}

absl::Status CheckDigest(const std::string& path, const std::string& found, const std::string& expected) {
  if (found == expected) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      path, ": its content is not what the job was submitted with (SHA-256 ", found.substr(0, kShownDigits),
      "..., then ", expected.substr(0, kShownDigits), "...); put the file back, or submit the job anew with this one"));
}

}  // namespace samovar
