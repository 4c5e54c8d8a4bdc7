// TrainLeases decides which worker computes which iterations of a job, and when another one must.
//
// A state machine without clock, threads or I/O: callers pass the time. It takes iterations for done that workers
// reported. That is a hint: the chunks' ledgers decide in the end, and iterations that they lack come back through
// AddMissing.
//
// Stragglers. The leases of a worker that is late (Options.patience, kLateFactor) are given to another as well if
// nothing is lost by that: if the other has nothing else to do, or waits for these. The first result counts; the chunks
// drop the second. A worker that is slow as it always was is not late.
//
// Thread safety: none; guarded by its owner.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "common/data/iteration_schedule.h"
#include "common/model/ledger.h"

namespace samovar {

class TrainLeases {
 public:
  struct Options {
    uint64_t max_iter = 0;
    // No iteration is leased at or beyond the lowest one not done plus this, so that ledgers stay small.
    uint64_t window = 1024;
    // A lease that is not renewed for this long goes to another worker.
    absl::Duration term = absl::Seconds(6);
    // A lease whose iterations do not get done for this long goes to another worker, however alive its holder seems;
    // then the time is doubled, for an iteration may take longer.
    absl::Duration stall = absl::Minutes(10);
    // A holder is not late before this, which is a few heartbeats long: results come with them.
    absl::Duration patience = absl::Seconds(2);
    // That a worker waits for others is true for so long after it has said so, which it does with each heartbeat.
    absl::Duration news = absl::Seconds(2);
    // Leases are as long as a worker's pace fills this time, within [1, max_length] iterations.
    absl::Duration target = absl::Seconds(1);
    uint64_t max_length = 64;
    // Iteration t cannot be computed before those below t - delay are done. Leases are short enough then that all
    // workers have something to compute, and one that waits for iterations of a lost worker is revoked, so that not all
    // wait for iterations that no worker computes.
    std::optional<uint64_t> delay;
    // Set for data that are stored in partitions, which workers may have to copy: leases keep within its blocks, and a
    // worker is given preferably those of partitions that it has had. None: no two iterations are less alike to a
    // worker than others.
    std::optional<IterationSchedule> schedule;
  };

  struct Lease {
    uint64_t id = 0;
    uint64_t worker = 0;
    IterationRange range;
    // The parts to compute of each iteration, in a job whose iterations come in parts. Else empty.
    std::vector<uint32_t> parts;
  };

  // The effect of a report.
  enum class News { kNothing, kPart, kIteration };

  virtual ~TrainLeases() = default;

  // A lease for the worker, lowest iterations first; none if there is nothing to do at present.
  virtual std::optional<Lease> Acquire(uint64_t worker, uint64_t workers, absl::Time now) = 0;

  // The worker lives, and knows of this lease: if it is its own it runs a full term from now. A lease that the worker
  // does not know of, since the answer was lost, runs out.
  virtual void Renew(uint64_t worker, uint64_t lease_id, absl::Time now) = 0;

  // The worker waits for pushes of other workers: it is not the one that is late.
  virtual void Waits(uint64_t worker, absl::Time now) = 0;

  // Some server owes the worker an answer, and has been silent for longer than servers are.
  virtual void WaitsForServer(uint64_t /*worker*/, absl::Time /*now*/) {}

  // The passes of a part took the worker so long, says it.
  virtual void TookForPart(uint64_t /*worker*/, absl::Duration /*time*/, absl::Time /*now*/) {}

  // Iteration t, or this part of it, is in all chunks, says the worker. `part` is 0 where there are none.
  virtual News Complete(uint64_t worker, uint64_t t, uint32_t part, absl::Time now) = 0;

  // Gives back the rest of the lease, or of all the worker's leases, that is not done.
  virtual void Release(uint64_t lease_id) = 0;
  virtual void ReleaseWorker(uint64_t worker) = 0;

  // Takes all leases away from their holders, which find them among TakeRevoked.
  virtual void RevokeAll() = 0;

  // Gives back the leases that ran out, and those that wait for a late one and are to make up for it. Their holders
  // find them among TakeRevoked.
  virtual void Expire(absl::Time now) = 0;

  // No iteration at or beyond the limit is leased until it is raised.
  virtual void SetLimit(uint64_t limit) = 0;

  // These are not done after all.
  virtual void AddMissing(const std::vector<IterationRange>& ranges) = 0;

  // Workers that were found late since the last call, and not before: others do their iterations, and they are left out
  // for a while (suspects.h).
  virtual std::vector<uint64_t> TakeLate() = 0;

  // Leases of this worker that ended without its doing since the last call.
  virtual std::vector<uint64_t> TakeRevoked(uint64_t worker) = 0;

  // Whether the worker's lease is still its own.
  virtual bool Holds(uint64_t worker, uint64_t lease_id) const = 0;
  virtual std::vector<Lease> LeasesOf(uint64_t worker) const = 0;
  // All workers'.
  virtual std::vector<Lease> Leases() const = 0;

  virtual const Ledger& done() const = 0;
  virtual bool complete() const = 0;
  // Leases that ended with work undone and were given out again.
  virtual uint64_t releases() const = 0;
  // Iterations, or parts of them, that were leased a second time because their holder was late; and those of them that
  // it did first.
  virtual uint64_t speculative() const = 0;
  virtual uint64_t speculative_wasted() const = 0;
};

// A lease that takes so many times as long as it should is late.
inline constexpr int kLateFactor = 2;

// Before a worker's pace is known.
inline constexpr uint64_t kFirstLeaseLength = 4;

// How fast iterations get done: a moving average. Reports bring several at the same moment, so that a batch of them is
// measured when the next one begins.
class Pace {
 public:
  void Count(absl::Time now);
  // 0: not known yet.
  absl::Duration per_iteration() const { return per_iteration_; }
  // How many iterations fill the time; kFirstLeaseLength if that is not known.
  uint64_t IterationsIn(absl::Duration time) const;

 private:
  absl::Time before_batch_ = absl::InfinitePast();
  absl::Time batch_time_ = absl::InfinitePast();
  int64_t batch_size_ = 0;
  absl::Duration per_iteration_ = absl::ZeroDuration();
};

// The ledger without the ranges, up to max_iter.
Ledger Without(const Ledger& ledger, const std::vector<IterationRange>& ranges, uint64_t max_iter);

// The iterations below max_iter that every one of the ledgers holds.
Ledger HeldByAll(const std::vector<Ledger>& ledgers, uint64_t max_iter);

}  // namespace samovar
