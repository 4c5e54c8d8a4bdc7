// RunJob takes a job through its life: it waits for servers, opens the job there, freezes, persists and thaws
// checkpoints while workers train, compares the ledgers, and ends the job. Servers that are lost on the way are waited
// for, and given their shares again (job_servers.h).
//
// While workers train it sleeps until the job has something for it (Job::AwaitWork). Besides it looks every 50 ms at
// what has no event: whether a server has fallen silent, or is another process than before, which the list of members
// tells without a call; whether the coordinator stops; and whether a client has kept training waiting for too long.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "common/base/stopper.h"
#include "common/storage/storage_table.h"
#include "server/cluster/cluster_view.h"
#include "server/jobs/job.h"

namespace samovar {

// The runner's view of the queue, which keeps all jobs.
//
// Thread safety: all methods may be called from any thread; they block for servers or the disk.
class JobKeeper {
 public:
  virtual ~JobKeeper() = default;
  // Frees the memory that servers hold for jobs that have ended; false: there was none.
  virtual bool FreeMemory() = 0;
  // Returns when the job table has all that is known of the jobs, if it can be written.
  virtual void SaveJobs() = 0;
  // Whether another coordinator has taken the jobs.
  virtual bool IsReplaced() = 0;
};

// Blocks until the job has ended, whose end and cause are in the job: then it returns OK. `epoch` is the coordinator's.
// Snapshots are exported to `storage`. The cluster, and the keeper, which may be null, outlive the call.
//   RESOURCE_EXHAUSTED  the servers have no memory for the job now; it is QUEUED still, and may be open at some of them
//   CANCELLED           the stopper was stopped, or another coordinator has the job now; the job is as it was
absl::Status RunJob(Job* job, uint64_t epoch, ClusterView* cluster, const StorageTable& storage, JobKeeper* keeper,
                    const Stopper& stopper);

}  // namespace samovar
