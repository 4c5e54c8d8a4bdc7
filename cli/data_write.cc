// `samovar data write-partition` and `samovar data write-manifest`: sets that several processes make together.
#include <google/protobuf/util/json_util.h>
#include <unistd.h>

#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/report/exit_codes.h"
#include "cli/run/interruption.h"
#include "cli/run/waker.h"
#include "common/base/printable.h"
#include "common/base/status_macros.h"
#include "common/import/partition_write.h"
#include "common/rpc/proto_json.h"

namespace samovar {
namespace {

constexpr size_t kShownBytes = 200;

// Wrong records, names and rights, as opposed to a storage that failed.
bool IsUsers(const absl::Status& status) {
  return absl::IsInvalidArgument(status) || absl::IsNotFound(status) || absl::IsAlreadyExists(status) ||
         absl::IsDataLoss(status) || absl::IsUnimplemented(status) || absl::IsFailedPrecondition(status) ||
         absl::IsPermissionDenied(status) || absl::IsUnauthenticated(status);
}

int Fail(const absl::Status& status) {
  PrintError(status.message());
  return IsUsers(status) ? kExitUsage : kExitFailed;
}

absl::StatusOr<std::vector<v1::DatasetManifest>> ReadParts(std::istream* input) {
  std::vector<v1::DatasetManifest> parts;
  std::string line;
  while (std::getline(*input, line)) {
    v1::DatasetManifest part;
    if (!google::protobuf::util::JsonStringToMessage(line, &part).ok()) {
      return absl::InvalidArgumentError(absl::StrCat("line ", parts.size() + 1, " of the input, \"",
                                                     Printable(line, kShownBytes),
                                                     "\", is not what `samovar data write-partition` prints"));
    }
    parts.push_back(std::move(part));
  }
  return parts;
}

absl::StatusOr<v1::DatasetManifest> Join(const WriteManifestOptions& options) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<v1::DatasetManifest> parts, ReadParts(&std::cin));
  return JoinPartitions(options.set, parts, options.force, options.storage, PrintWarning);
}

}  // namespace

int RunWritePartition(const WritePartitionOptions& options) {
  Waker waker;
  const Interruption interruption(&waker, /*takes_hangups=*/false, [&](int) { options.storage.Stop(); });
  ImportOptions settings;
  settings.stopper = &interruption.stopper();
  settings.storage = options.storage;
  const absl::StatusOr<v1::DatasetManifest> part =
      WritePartition(STDIN_FILENO, options.set, options.name, std::move(settings));
  if (!part.ok()) {
    const int code = Fail(part.status());
    return absl::IsCancelled(part.status()) ? kExitSignal + interruption.signal() : code;
  }
  const absl::StatusOr<std::string> line = ToJsonLine(*part);
  if (!line.ok()) return Fail(line.status());
  std::cout << *line << "\n";
  return kExitOk;
}

int RunWriteManifest(const WriteManifestOptions& options) {
  if (options.check) {
    const absl::Status status = CheckJoinTarget(options.set, options.force, options.storage);
    return status.ok() ? kExitOk : Fail(status);
  }
  const absl::StatusOr<v1::DatasetManifest> manifest = Join(options);
  if (!manifest.ok()) return Fail(manifest.status());
  const int partitions = manifest->partitions_size();
  std::cout << options.set << ": " << manifest->records() << " records of " << manifest->channels() << "x"
            << manifest->height() << "x" << manifest->width() << " in " << partitions
            << (partitions == 1 ? " partition" : " partitions") << "\n";
  return kExitOk;
}

}  // namespace samovar
