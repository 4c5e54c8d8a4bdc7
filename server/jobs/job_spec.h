// Checks a JobSpec that comes from outside.
#pragma once

#include "absl/status/status.h"
#include "samovar/v1/job.pb.h"

namespace samovar {

// Checks a job from outside. INVALID_ARGUMENT names the field that is missing or wrong.
absl::Status CheckJobSpec(const v1::JobSpec& spec);

}  // namespace samovar
