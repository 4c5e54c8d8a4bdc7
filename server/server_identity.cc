#include "server/server_identity.h"

#include <optional>
#include <random>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/storage/number_file.h"

namespace samovar {

absl::StatusOr<uint64_t> ServerIdentity(const std::string& state_dir) {
  const std::string path = absl::StrCat(state_dir, "/identity");
  const absl::StatusOr<std::optional<uint64_t>> stored = ReadNumberFile(path);
  // One that cannot be read now is not replaced: the server would be taken for another one.
  if (!stored.ok() && !absl::IsDataLoss(stored.status())) return stored.status();
  if (!stored.ok() || *stored == uint64_t{0}) {
    return absl::DataLossError(
        absl::StrCat(path, " does not hold a number; remove it, and the server is taken for a new one"));
  }
  if (stored->has_value()) return **stored;
  std::random_device random;
  const uint64_t identity = (uint64_t{random()} << 32 | random()) | 1;
  SAMOVAR_RETURN_IF_ERROR(WriteNumberFile(path, identity));
  return identity;
}

}  // namespace samovar
