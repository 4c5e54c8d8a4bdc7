// LeaseTable decides who computes which iterations of a job, and when somebody else must.
//
// A state machine without clock, threads or I/O: callers pass the time. What it holds as done is what workers reported, a
// hint: the chunks' ledgers decide in the end, and what they lack comes back through AddMissing.
//
// Thread safety: none; guarded by its owner.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "server/store/ledger.h"

namespace samovar {

class LeaseTable {
 public:
  struct Options {
    uint64_t max_iter = 0;
    // No iteration is leased at or beyond the lowest one not done plus this, so that ledgers stay small.
    uint64_t window = 1024;
    // A lease that is not renewed for this long goes to another worker.
    absl::Duration term = absl::Seconds(6);
    // A lease whose iterations do not get done for this long goes to another worker, however alive its holder seems.
    absl::Duration stall = absl::Minutes(10);
    // Leases are as long as a worker's pace fills this time, within [1, max_length] iterations.
    absl::Duration target = absl::Seconds(1);
    uint64_t max_length = 64;
  };

  struct Lease {
    uint64_t id = 0;
    uint64_t worker = 0;
    IterationRange range;
  };

  // `done`: iterations that every chunk holds already.
  LeaseTable(const Options& options, Ledger done);

  // A lease for the worker, lowest iterations first; none if all are done, leased, or beyond the window. When nothing else is
  // left, a range that another worker holds for longer than it should take is leased a second time.
  std::optional<Lease> Acquire(uint64_t worker, uint64_t workers, absl::Time now);

  // The worker lives: its leases run a full term from now.
  void Renew(uint64_t worker, absl::Time now);

  // Iteration t is in all chunks, says the worker. Returns false if that was known.
  bool Complete(uint64_t worker, uint64_t t, absl::Time now);

  // Gives back what of the lease, or of all the worker's leases, is not done.
  void Release(uint64_t lease_id);
  void ReleaseWorker(uint64_t worker);

  // Gives back the leases that ran out. Their holders find them among TakeRevoked.
  void Expire(absl::Time now);

  // No iteration at or beyond the limit is leased until it is raised.
  void SetLimit(uint64_t limit) { limit_ = limit; }

  // These are not done after all.
  void AddMissing(const std::vector<IterationRange>& ranges);

  // Leases of this worker that ended without its doing since the last call.
  std::vector<uint64_t> TakeRevoked(uint64_t worker);

  // Whether the worker's lease is still its own.
  bool Holds(uint64_t worker, uint64_t lease_id) const;
  std::vector<Lease> LeasesOf(uint64_t worker) const;

  const Ledger& done() const { return done_; }
  bool complete() const { return done_.watermark() >= options_.max_iter; }
  // Leases that ended with work undone and were given out again.
  uint64_t releases() const { return releases_; }
  // Iterations leased a second time while their first lease was running.
  uint64_t backups() const { return backups_; }

 private:
  struct Entry {
    Lease lease;
    absl::Time renewed;
    // When it was granted, or last had an iteration done.
    absl::Time progressed;
    bool backed_up = false;
  };
  // How fast a worker does iterations: a moving average. Reports bring several at the same moment, so that a batch of them is
  // measured when the next one begins.
  struct Pace {
    void Count(absl::Time now);

    absl::Time before_batch = absl::InfinitePast();
    absl::Time batch_time = absl::InfinitePast();
    int64_t batch_size = 0;
    absl::Duration per_iteration = absl::ZeroDuration();
  };
  using Entries = std::map<uint64_t, Entry>;

  uint64_t LengthFor(uint64_t worker, uint64_t workers) const;
  std::optional<IterationRange> TakeReturned(uint64_t length);
  std::optional<IterationRange> TakeFresh(uint64_t length);
  std::optional<IterationRange> TakeBackup(uint64_t worker, uint64_t length, absl::Time now);
  Entries::iterator EndLease(Entries::iterator entry, bool revoke);
  bool Finished(const Entry& entry) const;

  // First iteration that may not be leased now.
  uint64_t End() const;

  const Options options_;
  Ledger done_;
  uint64_t limit_ = Ledger::kMaxEnd;
  // Below this every iteration has been leased or was done at the start.
  uint64_t fresh_ = 0;
  // Given back: to be leased again before fresh ones.
  std::set<uint64_t> returned_;
  Entries leases_;
  std::map<uint64_t, Pace> paces_;
  std::map<uint64_t, std::vector<uint64_t>> revoked_;
  uint64_t next_id_ = 1;
  uint64_t releases_ = 0;
  uint64_t backups_ = 0;
};

// The iterations below max_iter that every one of the ledgers holds.
Ledger HeldByAll(const std::vector<Ledger>& ledgers, uint64_t max_iter);

}  // namespace samovar
