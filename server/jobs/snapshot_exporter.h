// SnapshotExporter has the servers of a job write a snapshot into a directory of its own, and keeps as many there as is
// asked for (common/model/exported_snapshot.h).
//
// Thread safety: one thread at a time. Export blocks for the servers and for the disk.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "common/storage/storage_table.h"
#include "samovar/v1/job.pb.h"
#include "server/cluster/parameter_servers.h"
#include "server/jobs/job_opener.h"

namespace samovar {

class SnapshotExporter {
 public:
  // The spec outlives this.
  SnapshotExporter(const v1::JobSpec* spec, uint64_t epoch, const StorageTable& storage)
      : spec_(*spec), epoch_(epoch), storage_(storage) {}

  // Exports the copy that the servers have frozen as `iteration` to "<into>/<job>_iter_<iteration>", which it returns,
  // and then removes the run's snapshots there but for this one and the `keep` - 1 others with the highest iterations.
  // Those of other jobs and of other runs stay, and the one that the job began from. After an error nothing is left of
  // the new one. FAILED_PRECONDITION: a snapshot of another run or job is in its place; that one is not touched.
  absl::StatusOr<std::string> Export(const Placement& placement, const ParameterServers& servers, uint64_t iteration,
                                     const std::string& into, uint32_t keep) const;

 private:
  // Whether the directory is free, or has an export of this run.
  absl::Status CheckOwn(const std::string& directory, uint64_t run) const;
  absl::Status Write(const Placement& placement, const ParameterServers& servers, uint64_t iteration,
                     const std::string& directory) const;
  void RemoveOld(const Placement& placement, const std::string& written, const std::string& into, uint32_t keep) const;

  const v1::JobSpec& spec_;
  const uint64_t epoch_;
  const StorageTable storage_;
};

// Before a job is taken: whether its directory of exports, if it has any, is free of snapshots of other runs of its
// name, but for the one that it begins from and those before that. FAILED_PRECONDITION names one that is in the way.
// Reads the directory. INVALID_ARGUMENT: one of the two is a URI of a scheme that is not offered.
absl::Status CheckExportDirectory(const v1::JobSpec& spec, const StorageTable& storage);

}  // namespace samovar
