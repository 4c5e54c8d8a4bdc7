// Tables of a cluster's workers, servers and jobs, and of a job's events, with a row's style saying how it is.
//
// Thread safety: all functions may be called from any thread.
#pragma once

#include <string>
#include <vector>

#include "cli/terminal/table.h"
#include "samovar/v1/job.pb.h"
#include "samovar/v1/status.pb.h"

namespace samovar {

// Those that work for the job or have no work; of all jobs with an empty id.
Table WorkerTable(const v1::ClusterStatus& cluster, const std::string& job_id);
// Those that have shares of the job, also if they are not there; of all jobs without one.
Table ServerTable(const v1::ClusterStatus& cluster, const v1::JobStatus* job);
Table JobTable(const v1::ClusterStatus& cluster);
// Oldest first.
Table EventTable(const std::vector<v1::JobEvent>& events);

}  // namespace samovar
