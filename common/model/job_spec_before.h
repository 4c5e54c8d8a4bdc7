// Reads job specs of versions that had the fields of a v1::Consistency one by one in JobSpec.
//
// Thread safety: stateless.
#pragma once

#include "samovar/v1/job.pb.h"
#include "samovar/v1/job_spec_before.pb.h"

namespace samovar {

// The Consistency that such fields make.
v1::Consistency ConsistencyBefore(const v1::JobSpecBefore& before);

// Gives a spec that was read from bytes the Consistency that its fields of an earlier version make; those of such a
// spec are unknown fields in it, which it loses. Nothing happens to a spec that has a Consistency.
void AdoptConsistencyBefore(v1::JobSpec* spec);

}  // namespace samovar
