#include "common/home/cluster_home.h"

#include <algorithm>
#include <vector>

#include "absl/random/random.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"

namespace samovar {
namespace {

// A claim that has no address yet begins so.
constexpr char kClaimed[] = "claimed ";
constexpr uint64_t kMaxFileBytes = 4096;
// So many files of epochs are left; the rest is of no use.
constexpr size_t kKeptClaims = 8;
// Coordinators that claim at the same time.
constexpr int kMaxAttempts = 100;

// The epochs that were claimed, ascending.
absl::StatusOr<std::vector<uint64_t>> EpochsIn(const std::string& directory, const StorageTable& storage) {
  std::vector<uint64_t> epochs;
  const absl::StatusOr<std::vector<StoredFile>> files = storage.List(directory);
  // The first claim makes the directory.
  if (absl::IsNotFound(files.status())) return epochs;
  SAMOVAR_RETURN_IF_ERROR(files.status());
  for (const StoredFile& file : *files) {
    uint64_t epoch = 0;
    if (!file.is_directory && absl::SimpleAtoi(file.name, &epoch) && file.name[0] != '-') epochs.push_back(epoch);
  }
  std::sort(epochs.begin(), epochs.end());
  return epochs;
}

}  // namespace

bool ClusterHome::IsHome(absl::string_view place) {
  return !absl::StartsWith(place, "unix:") && place.find('/') != absl::string_view::npos;
}

std::string ClusterHome::FileOf(uint64_t epoch) const {
  return absl::StrCat(uri_, "/epochs/", absl::StrFormat("%020d", epoch));
}

absl::StatusOr<uint64_t> ClusterHome::Epoch() const {
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<uint64_t> epochs, EpochsIn(absl::StrCat(uri_, "/epochs"), storage_));
  return epochs.empty() ? 0 : epochs.back();
}

absl::StatusOr<uint64_t> ClusterHome::Claim(uint64_t above) const {
  absl::BitGen random;
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    SAMOVAR_ASSIGN_OR_RETURN(const std::vector<uint64_t> epochs, EpochsIn(absl::StrCat(uri_, "/epochs"), storage_));
    const uint64_t epoch = std::max(above, epochs.empty() ? 0 : epochs.back()) + 1;
    const std::string claim = absl::StrCat(kClaimed, absl::Hex(absl::Uniform<uint64_t>(random)), "\n");
    const absl::Status claimed = storage_.Create(FileOf(epoch), claim);
    if (absl::IsAlreadyExists(claimed)) continue;
    SAMOVAR_RETURN_IF_ERROR(claimed);
    for (size_t i = 0; i + kKeptClaims < epochs.size(); ++i) (void)storage_.Remove(FileOf(epochs[i]));
    return epoch;
  }
  return absl::UnavailableError(
      absl::StrCat(uri_, ": other coordinators claimed an epoch first, ", kMaxAttempts, " times; start one only"));
}

absl::Status ClusterHome::Announce(uint64_t epoch, const std::string& address) const {
  return storage_.PutBytes(FileOf(epoch), absl::StrCat(address, "\n"));
}

absl::StatusOr<ClusterHome::Coordinator> ClusterHome::Find() const {
  SAMOVAR_ASSIGN_OR_RETURN(const uint64_t epoch, Epoch());
  if (epoch == 0) {
    return absl::NotFoundError(
        absl::StrCat(uri_, " is no home of a cluster yet: start samovar-server --coordinator --home ", uri_));
  }
  SAMOVAR_ASSIGN_OR_RETURN(std::string text, storage_.ReadBytes(FileOf(epoch), kMaxFileBytes));
  const absl::string_view address = absl::StripAsciiWhitespace(text);
  if (absl::StartsWith(text, kClaimed) || address.empty()) {
    return absl::UnavailableError(
        absl::StrCat(uri_, ": the coordinator of epoch ", epoch, " has not said yet where it is"));
  }
  if (address.find_first_of(" \n/") != absl::string_view::npos || address.find(':') == absl::string_view::npos) {
    return absl::DataLossError(absl::StrCat(FileOf(epoch), " holds no HOST:PORT"));
  }
  return Coordinator{epoch, std::string(address)};
}

}  // namespace samovar
