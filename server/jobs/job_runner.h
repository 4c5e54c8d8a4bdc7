// RunJob takes a job through its life: it waits for servers, opens the job there, freezes, persists and thaws
// checkpoints while workers train, compares the ledgers, and ends the job. Servers that are lost on the way are waited
// for, and given their shares again.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/stopper.h"
#include "server/cluster/membership.h"
#include "server/jobs/job.h"

namespace samovar {

// The runner's view of the cluster; callable at any time from any thread.
struct ClusterView {
  std::function<std::vector<Membership::Server>()> servers;
  std::function<uint64_t()> workers;
  // Another number with each call, higher than all before, across coordinators: names an opening
  // (OpenJobRequest.opening).
  std::function<uint64_t()> next_opening;
  // How long a job waits for a server that it needs before it fails.
  absl::Duration patience = absl::Minutes(10);
  // Frees what the servers hold of jobs that have ended; false: that was nothing. May be null.
  std::function<bool()> free_memory = nullptr;
  // Returns when the job table has all that is known of the jobs, if it can be written. May be null.
  std::function<void()> save = nullptr;
};

// Blocks until the job has ended, whose end and cause are in the job: then it returns OK. `epoch` is the coordinator's.
//   RESOURCE_EXHAUSTED  the servers have no memory for the job now; it is QUEUED still, and may be open at some of them
//   CANCELLED           the stopper was stopped; the job is as it was
absl::Status RunJob(Job* job, uint64_t epoch, const ClusterView& cluster, const Stopper& stopper);

}  // namespace samovar
