// Checks a JobSpec that comes from outside.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "samovar/v1/job.pb.h"

namespace samovar {

// INVALID_ARGUMENT: what a job's id may be.
absl::Status CheckJobName(const std::string& id);

// INVALID_ARGUMENT names what a job from outside lacks or has wrong.
absl::Status CheckJobSpec(const v1::JobSpec& spec);

}  // namespace samovar
