#include "server/coordinator/epoch_file.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/model/epochs.h"
#include "common/storage/number_file.h"

namespace samovar {

absl::StatusOr<uint64_t> NextEpoch(const std::string& directory, const ClusterHome* home) {
  const std::string path = absl::StrCat(directory, "/epoch");
  const absl::StatusOr<std::optional<uint64_t>> stored = ReadNumberFile(path);
  if (!stored.ok() && !absl::IsDataLoss(stored.status())) return stored.status();
  if (!stored.ok() || stored->value_or(0) >= kMaxEpoch) {
    return absl::DataLossError(absl::StrCat(path, " does not hold a number below ", kMaxEpoch,
                                            "; write one into it that is larger than any epoch in the servers' logs"));
  }
  uint64_t epoch = stored->value_or(0) + 1;
  if (home != nullptr) {
    SAMOVAR_ASSIGN_OR_RETURN(epoch, home->Claim(stored->value_or(0)));
    if (epoch > kMaxEpoch) {
      return absl::DataLossError(absl::StrCat(home->uri(), "/epochs has claims up to ", epoch,
                                              ", which no coordinator has made; remove them"));
    }
  }
  SAMOVAR_RETURN_IF_ERROR(WriteNumberFile(path, epoch));
  return epoch;
}

}  // namespace samovar
