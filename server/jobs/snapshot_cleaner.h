// SnapshotCleaner has the cluster's servers remove the snapshots of jobs that were forgotten, each server as soon as it
// is there: also one that was away when they were forgotten.
//
// A server is asked for its snapshots, and removes those of forgotten jobs; it removes none of a job whose name is not
// known here. While a name is being cleaned no job of that name may be opened (Cleans).
//
// Thread safety: public methods may be called from any thread; none blocks but Stop. Lock order: mu_ is a leaf lock,
// and is not held during calls to servers.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "common/base/stopper.h"
#include "server/cluster/cluster_view.h"

namespace samovar {

class SnapshotCleaner {
 public:
  // `epoch` is the coordinator's. `released` is called, on the cleaner's thread, whenever a name that Cleans was true
  // for is free again; may be null. The cluster outlives this.
  SnapshotCleaner(uint64_t epoch, ClusterView* cluster, std::function<void()> released)
      : epoch_(epoch), cluster_(*cluster), released_(std::move(released)) {}
  // As Stop().
  ~SnapshotCleaner();

  void Start();
  // Idempotent.
  void Stop();

  // The job is forgotten, durably: servers remove the snapshots of its name.
  void Forget(const std::string& job_id) ABSL_LOCKS_EXCLUDED(mu_);
  // A job of that name was submitted: the snapshots that are left of the name stay.
  void Keep(const std::string& job_id) ABSL_LOCKS_EXCLUDED(mu_);
  // Whether a server is being asked to remove snapshots of the name. It is not again after Keep.
  bool Cleans(const std::string& job_id) const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // The state of a server.
  struct Cleaned {
    // It has nothing of the jobs that were forgotten up to this number.
    uint64_t up_to = 0;
    // After an error: not to be asked before.
    absl::Time retry_at = absl::InfinitePast();
  };

  void Run();
  // One look at all servers.
  void CleanAll();
  // Has the server remove the snapshots of forgotten jobs. Blocks for its answers.
  absl::Status Clean(const Membership::Server& server, uint64_t after) ABSL_LOCKS_EXCLUDED(mu_);
  // False: the name was not forgotten after that number, or is a job's again.
  bool Claim(const std::string& job_id, uint64_t after) ABSL_LOCKS_EXCLUDED(mu_);
  void Release() ABSL_LOCKS_EXCLUDED(mu_);

  const uint64_t epoch_;
  ClusterView& cluster_;
  const std::function<void()> released_;
  Stopper stopper_;

  mutable absl::Mutex mu_;
  // Names, with the number of their being forgotten: 1, 2, ... in the order of time.
  std::map<std::string, uint64_t> forgotten_ ABSL_GUARDED_BY(mu_);
  uint64_t last_ ABSL_GUARDED_BY(mu_) = 0;
  // The name that is being cleaned; empty: none.
  std::string cleaning_ ABSL_GUARDED_BY(mu_);

  // The thread's. By identity, or by address for servers that have none.
  std::map<std::pair<uint64_t, std::string>, Cleaned> servers_;
  std::thread thread_;
};

}  // namespace samovar
