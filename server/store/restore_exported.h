// A server's share of a job from an exported snapshot (common/model/exported_snapshot.h).
//
// Thread safety: functions may be called from any thread. They do I/O.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "common/storage/storage_table.h"
#include "samovar/v1/parameter.pb.h"
#include "server/store/hosted_job.h"

namespace samovar {

struct ExportedSource {
  std::string directory;
  // SHA-256 of the manifest; empty: any.
  std::string digest;
  // The run that the snapshot must be of; 0: any.
  uint64_t run = 0;
};

// Replaces the chunks of an unpublished job. DATA_LOSS: the snapshot is damaged, or is not the one that is meant, so
// that another one of the run may serve; FAILED_PRECONDITION: it is not the one that the job is to begin from, or does
// not fit the job.
absl::Status RestoreExported(const v1::OpenJobRequest& request, const ExportedSource& source,
                             const StorageTable& storage, HostedJob* job);

}  // namespace samovar
