// A cluster's status as tables for people.
#pragma once

#include <string>

#include "samovar/v1/status.pb.h"

namespace samovar {

// Ends with a newline.
std::string StatusTable(const v1::ClusterStatus& status);

}  // namespace samovar
