// The snapshots of a job that are exported to the place that it names: what its servers can restore shares from that
// they have lost.
//
// Thread safety: functions may be called from any thread. They do I/O.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/storage/storage_table.h"
#include "samovar/v1/job.pb.h"

namespace samovar {

struct JobExport {
  std::string directory;
  // SHA-256 of its manifest, which has the checksums of all else.
  std::string digest;
  uint64_t run = 0;
  uint64_t iteration = 0;
  uint32_t chunk_elements = 0;
};

// The places where the job's exported snapshots are, the newest first: its own, and those of the jobs that it goes on
// from.
std::vector<std::string> ExportPlaces(const v1::JobSpec& spec);

// The directories in `into` whose names are those of a job's exported snapshots. None if there is no `into` yet.
absl::StatusOr<std::vector<std::string>> ExportDirectories(const std::string& job_id, const std::string& into,
                                                           const StorageTable& storage);

// The job's exported snapshots, of all its runs, the highest iterations first; one that is not whole or is damaged is
// left out. Of two of one iteration the one in the newer place comes first. Empty for a job without places.
absl::StatusOr<std::vector<JobExport>> ListExports(const v1::JobSpec& spec, const StorageTable& storage);

}  // namespace samovar
