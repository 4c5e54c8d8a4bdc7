// Models out of a running job.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "common/base/stopper.h"
#include "samovar/v1/job.pb.h"

namespace samovar {

// "<snapshot_prefix>_iter_<iteration>.caffemodel"
std::string ModelPath(const std::string& snapshot_prefix, uint64_t iteration);

// Pulls the weights that the job's servers froze or persisted as `iteration`, and writes them with the train net as a
// Caffe model. `status` is the job's, once it runs: it names the servers. Ends early, with CANCELLED, when the stopper
// is stopped.
absl::Status ExportModel(const v1::JobSpec& spec, const v1::JobStatus& status, uint64_t iteration,
                         const std::string& path, const Stopper& stopper);

}  // namespace samovar
