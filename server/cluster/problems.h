// The problems of a cluster at present, in words, from its status.
#pragma once

#include <string>
#include <vector>

#include "samovar/v1/status.pb.h"

namespace samovar {

// The worst first: jobs that stand still, servers and workers that are gone or fail, disks that are nearly full,
// snapshots that could not be written, members that were refused, workers that are slow. Empty: nothing that is known.
std::vector<std::string> ProblemsOf(const v1::ClusterStatus& status);

}  // namespace samovar
