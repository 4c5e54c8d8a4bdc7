// The names of a job's states.
#pragma once

#include <string>

#include "absl/strings/strip.h"
#include "samovar/v1/job.pb.h"

namespace samovar {

// "RUNNING" for JOB_STATE_RUNNING.
inline std::string StateName(v1::JobState state) {
  return std::string(absl::StripPrefix(v1::JobState_Name(state), "JOB_STATE_"));
}

}  // namespace samovar
