#include "server/server_identity.h"

#include <random>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/read_file.h"
#include "common/base/status_macros.h"
#include "common/caffe/write_file.h"

namespace samovar {
namespace {

// A number and the end of its line; editors may have added some.
constexpr uint64_t kMaxIdentityBytes = 256;

}  // namespace

absl::StatusOr<uint64_t> ServerIdentity(const std::string& state_dir) {
  const std::string path = absl::StrCat(state_dir, "/identity");
  const absl::StatusOr<std::string> text = ReadFile(path, kMaxIdentityBytes);
  // One that cannot be read now is not replaced: the server would be taken for another one.
  if (!text.ok() && !absl::IsNotFound(text.status())) return text.status();
  if (text.ok()) {
    uint64_t identity = 0;
    if (absl::SimpleAtoi(*text, &identity) && identity != 0) return identity;
    return absl::DataLossError(
        absl::StrCat(path, " does not hold a number; remove it, and the server is taken for a new one"));
  }
  std::random_device random;
  const uint64_t identity = (uint64_t{random()} << 32 | random()) | 1;
  SAMOVAR_RETURN_IF_ERROR(WriteBytesAtomically(path, absl::StrCat(identity, "\n")));
  return identity;
}

}  // namespace samovar
