// RunJob takes a job through its life: it waits for servers, opens the job there, freezes, persists and thaws checkpoints while
// workers train, compares the ledgers, and ends the job. Servers that are lost on the way are waited for, and given their shares again.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/time/time.h"
#include "common/base/stopper.h"
#include "server/coordinator/job.h"
#include "server/coordinator/membership.h"

namespace samovar {

// What the runner needs to know of the cluster, at any time, from any thread.
struct ClusterView {
  std::function<std::vector<Membership::Server>()> servers;
  std::function<uint64_t()> workers;
  // How long a job waits for a server that it needs before it fails.
  absl::Duration patience = absl::Minutes(10);
};

// Blocks until the job has ended, or until the process stops. The job's end and its cause are in the job. `epoch` is the
// coordinator's.
void RunJob(Job* job, uint64_t epoch, const ClusterView& cluster, const Stopper& stopper);

}  // namespace samovar
