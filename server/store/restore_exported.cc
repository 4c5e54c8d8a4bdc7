#include "server/store/restore_exported.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/model/exported_snapshot.h"
#include "common/storage/file_digest.h"
#include "server/snapshot/chunk_record.h"

namespace samovar {

absl::Status RestoreExported(const v1::OpenJobRequest& request, const ExportedSource& source,
                             const StorageTable& storage, HostedJob* job) {
  SAMOVAR_ASSIGN_OR_RETURN(const ExportedSnapshot snapshot, ExportedSnapshot::Open(source.directory, storage));
  if (!source.digest.empty()) {
    SAMOVAR_ASSIGN_OR_RETURN(const std::string found, DigestOfFile(snapshot.manifest_path(), storage));
    const absl::Status same = CheckDigest(snapshot.manifest_path(), found, source.digest);
    // For a share that was lost an older one serves as well.
    if (!same.ok()) return source.run == 0 ? same : absl::DataLossError(same.message());
  }
  if (source.run != 0 && snapshot.manifest().run() != source.run) {
    return absl::DataLossError(absl::StrCat(snapshot.directory(), " is a snapshot of another run"));
  }
  SAMOVAR_RETURN_IF_ERROR(snapshot.CheckFits(job->layout(), request.solver()));
  if (snapshot.manifest().chunk_elements() != request.chunk_elements()) {
    return absl::InvalidArgumentError(absl::StrCat(snapshot.directory(), " has chunks of ",
                                                   snapshot.manifest().chunk_elements(), " floats, the job of ",
                                                   request.chunk_elements()));
  }
  for (size_t index = 0; index < job->chunks(); ++index) {
    const uint32_t number = job->number(index);
    SAMOVAR_ASSIGN_OR_RETURN(const std::string record, snapshot.ReadRecord(number));
    absl::StatusOr<ChunkImage> image = ParseChunkRecord(record, number);
    if (!image.ok() || !AllFinite(image->weights)) {
      return absl::DataLossError(absl::StrCat("chunk ", number, " of ", snapshot.directory(), " is damaged: ",
                                              image.ok() ? "it has NaN or infinity" : image.status().message(),
                                              "; begin from another snapshot"));
    }
    SAMOVAR_RETURN_IF_ERROR(job->Restore(index, *std::move(image)));
  }
  return absl::OkStatus();
}

}  // namespace samovar
