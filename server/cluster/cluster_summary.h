// A cluster in one line, for a service manager.
#pragma once

#include <string>

#include "samovar/v1/status.pb.h"

namespace samovar {

// "2 jobs run, 1 waits; iteration 1200 of 10000 of lenet; 2 servers, 8 workers". The iteration is that of the running
// job that was submitted last.
std::string SummaryOf(const v1::ClusterStatus& status);

}  // namespace samovar
