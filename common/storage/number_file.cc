#include "common/storage/number_file.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/read_file.h"
#include "common/storage/write_file.h"

namespace samovar {
namespace {

// A number and the end of its line; editors may have added some.
constexpr uint64_t kMaxFileBytes = 256;

}  // namespace

absl::StatusOr<std::optional<uint64_t>> ReadNumberFile(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadFile(path, kMaxFileBytes);
  if (absl::IsNotFound(text.status())) return std::nullopt;
  if (!text.ok()) return text.status();
  uint64_t number = 0;
  if (absl::SimpleAtoi(*text, &number)) return number;
  return absl::DataLossError(absl::StrCat(path, " does not hold a number"));
}

absl::Status WriteNumberFile(const std::string& path, uint64_t number) {
  return WriteBytesAtomically(path, absl::StrCat(number, "\n"));
}

}  // namespace samovar
