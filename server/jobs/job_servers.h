// JobServers is the servers that a job is on: it opens the job there, watches whether they live, and when servers were
// lost gives them their shares again. Its job is told all of that.
//
// While it waits for servers it tries again every 50 ms. There is no event for that: a server that is lost is one that
// falls silent; one that comes back may be heard of before it takes calls; and the members of the cluster are a view
// that tells of no change (cluster_view.h). Unless all are there, it looks only at the list of members.
//
// Thread safety: one thread at a time. Methods block for calls to the servers.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/stopper.h"
#include "common/model/ledger.h"
#include "common/storage/storage_table.h"
#include "server/cluster/cluster_view.h"
#include "server/cluster/parameter_servers.h"
#include "server/jobs/job.h"
#include "server/jobs/job_opener.h"

namespace samovar {

// Whether the same call may succeed later: the server is not there, or was ended while it answered.
bool IsPassing(const absl::Status& status);

// Whether chunks of the job have gone with a server: it is not there, or does not know the job any more.
bool IsLoss(const absl::Status& status);

class JobServers {
 public:
  // Job, cluster and stopper outlive this. `epoch` is the coordinator's; `storage`: where the job's snapshots are
  // exported to.
  JobServers(Job* job, uint64_t epoch, ClusterView* cluster, const StorageTable& storage, const Stopper* stopper);

  // Blocks until the job is open at its servers and runs. CANCELLED: the stopper was stopped, or the job has ended.
  // Other errors: it cannot be opened, or, of a job that ran under an earlier coordinator, its servers are away for
  // longer than the cluster's patience.
  absl::Status Begin();

  // Once the job runs.

  // Which servers have the job, and how they are called.
  const Placement& placement() const { return placement_; }
  const ParameterServers& calls() const { return *calls_; }
  // UNAVAILABLE: a server that has chunks of the job is silent, or was restarted.
  absl::Status Check() const;
  // After the loss of servers: blocks until all are back and have their shares again, or until patience ends. False:
  // they have all that they had. True: the job was opened anew, and what was under way at the servers is gone. Errors
  // as Begin's.
  absl::StatusOr<bool> Recover(const absl::Status& loss);
  // Has the servers remove the snapshots that nobody needs, and tells the job which ones there are.
  void Retain();

 private:
  absl::Status TryToBegin(absl::Time began);
  absl::StatusOr<bool> TryToRecover(const absl::Status& loss);
  // Puts servers that have come back in their places, under the addresses that they have now, and others in those of
  // servers that are gone, if they can get the share from an exported snapshot, or if the job, which exports its
  // snapshots, has none yet. Adds lines for the user to `news`.
  // UNAVAILABLE: some are not there, and nobody can take their shares.
  absl::Status FindServers(Placement* placement, std::vector<std::string>* news) const;
  absl::StatusOr<JobOpener::Opened> OpenAgain(Placement* placement);
  // As JobOpener::Open, as a new opening if iterations may be gone with it.
  absl::StatusOr<JobOpener::Opened> Open(Placement* placement, JobOpener::Begin begin);
  // Servers whose shares others have now, and that are back, let go of the job.
  void CloseAtThoseThatLeft();
  Job::Plan PlanFor(const Placement& placement, const std::vector<Ledger>& ledgers) const;
  void Notice(const std::string& text);
  bool KeepsTogether() const;

  Job& job_;
  const uint64_t epoch_;
  ClusterView& cluster_;
  const Stopper& stopper_;
  JobOpener opener_;
  Placement placement_;
  // Servers whose shares others have now, and that have not been heard of since.
  std::vector<Membership::Server> left_;
  // Null until the job runs.
  std::unique_ptr<ParameterServers> calls_;
};

}  // namespace samovar
