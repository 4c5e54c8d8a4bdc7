// Simulates the training of a job on a cluster: which worker computes what when, as leases and modes make them
// (server/leases/README.md, worker/train/lease_runner.h), until its rate is known.
#pragma once

#include <cstdint>
#include <vector>

#include "cli/plan/cluster_model.h"
#include "cli/plan/job_shape.h"
#include "cli/plan/machine_profile.h"

namespace samovar {

struct RunOutcome {
  double images_per_second = 0;
  // Updates of the model; in sync mode each is of all workers.
  double iterations_per_second = 0;
  // Updates of others between a worker's pull and its push, on average.
  double staleness = 0;
  // Workers that have something to do at the same time: a bounded delay and the parts of a batch limit them.
  uint32_t busy_workers = 0;
  std::vector<Load> loads;
};

// The same inputs have the same outcome. REQUIRES: workers, servers and threads of at least 1; parts that divide the
// batch; a job with parameters
RunOutcome SimulateTraining(const JobShape& job, const JobChoices& choices, const ClusterSpec& cluster,
                            const ProcessCosts& costs);

}  // namespace samovar
