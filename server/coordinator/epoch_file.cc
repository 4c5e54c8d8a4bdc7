#include "server/coordinator/epoch_file.h"

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/read_file.h"
#include "common/base/status_macros.h"
#include "common/model/epochs.h"
#include "common/storage/write_file.h"

namespace samovar {
namespace {

constexpr uint64_t kMaxFileBytes = 64;

}  // namespace

absl::StatusOr<uint64_t> NextEpoch(const std::string& directory) {
  const std::string path = absl::StrCat(directory, "/epoch");
  uint64_t epoch = 0;
  const absl::StatusOr<std::string> text = ReadFile(path, kMaxFileBytes);
  if (!text.ok() && !absl::IsNotFound(text.status())) return text.status();
  if (text.ok()) {
    const bool number = absl::SimpleAtoi(absl::StripAsciiWhitespace(*text), &epoch);
    if (!number || epoch >= kMaxEpoch) {
      return absl::DataLossError(
          absl::StrCat(path, " does not hold a number below ", kMaxEpoch,
                       "; write one into it that is larger than any epoch in the servers' logs"));
    }
  }
  ++epoch;
  SAMOVAR_RETURN_IF_ERROR(WriteBytesAtomically(path, absl::StrCat(epoch, "\n")));
  return epoch;
}

}  // namespace samovar
