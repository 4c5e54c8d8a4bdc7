// SnapshotExporter has the servers of a job write a snapshot into a directory of its own, and keeps as many there as is asked for
// (common/model/exported_snapshot.h).
//
// Thread safety: one thread at a time. Export blocks for the servers and for the disk.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "samovar/v1/job.pb.h"
#include "server/coordinator/job_opener.h"
#include "server/coordinator/parameter_servers.h"

namespace samovar {

class SnapshotExporter {
 public:
  // The spec outlives this.
  SnapshotExporter(const v1::JobSpec* spec, uint64_t epoch) : spec_(*spec), epoch_(epoch) {}

  // Exports what the servers have frozen as `iteration` to "<into>/<job>_iter_<iteration>", which it returns, and then removes the
  // job's snapshots there until `keep` are left: this one, and of the others first those of the same run, then those with the highest
  // iterations. Other jobs' stay, and the one that the job began from. After an error nothing is left of the new one.
  absl::StatusOr<std::string> Export(const Placement& placement, const ParameterServers& servers, uint64_t iteration,
                                     const std::string& into, uint32_t keep) const;

 private:
  absl::Status Write(const Placement& placement, const ParameterServers& servers, uint64_t iteration, const std::string& directory) const;
  void RemoveOld(const Placement& placement, const std::string& written, const std::string& into, uint32_t keep) const;

  const v1::JobSpec& spec_;
  const uint64_t epoch_;
};

}  // namespace samovar
