// The figures of a cluster's jobs, servers and workers for Prometheus: a monitor that asks the coordinator alone has
// all of them.
#pragma once

#include <string>

#include "samovar/v1/status.pb.h"

namespace samovar {

// In Prometheus' text format. The families are listed in deploy/monitoring/README.md.
std::string ClusterMetrics(const v1::ClusterStatus& status);

}  // namespace samovar
