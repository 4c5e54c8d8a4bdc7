// A cluster's status and its jobs as tables for people.
#pragma once

#include <string>

#include "samovar/v1/status.pb.h"

namespace samovar {

// Both end with a newline.
std::string StatusTable(const v1::ClusterStatus& status);
std::string JobsTable(const v1::ListJobsResponse& jobs);

// The cluster's servers that have been heard of lately, as its coordinator takes them for there.
int LiveServers(const v1::ClusterStatus& status);

// "RUNNING" for JOB_STATE_RUNNING.
std::string StateText(v1::JobState state);

}  // namespace samovar
