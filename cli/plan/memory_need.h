// The memory that a job takes of its machines.
#pragma once

#include "cli/plan/job_shape.h"

namespace samovar {

// Bytes of a worker's process: program, weights, gradients, blobs of a pass, and what its mode keeps besides.
double WorkerBytes(const JobShape& job, const JobChoices& choices);

// Bytes of a server's process with so many servers and workers: its share of weights and history, of a snapshot's
// frozen copy of both, of the parts of sync mode, and requests under way.
double ServerBytes(const JobShape& job, const JobChoices& choices, uint32_t servers, uint32_t workers);

}  // namespace samovar
