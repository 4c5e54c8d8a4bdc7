// PartTable leases the iterations of a job that come in parts: all workers compute the same iteration, each its parts
// of it.
//
// It deals range after range of iterations. A worker that asks is given its share of a range's parts, for the
// whole range, as long as there are any, and then begins the next range. So workers need not ask in between, and one
// that is done with its parts of a range has those of the next at once; its pull waits for the others.
//
// The parts of a range are dealt to all that ask for work by then, by their speed (part_shares.h). If one of them does
// not come for its share, and all others wait for it, everything is dealt anew among those.
//
// When all others wait for one worker that is late, everything is dealt anew among them, and it is left out for a
// while; if it still comes, the parts that it was first with count. One that waits for a server is late at once if a
// worker that all servers answer waits for it: it is cut off.
//
// When a lease is lost all others are revoked, for their holders wait for parts that nobody computes; everything that
// is not done is dealt again, in new ranges. A part that is computed twice is the same to the bit, and chunks drop the
// second.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "server/leases/part_shares.h"
#include "server/leases/suspects.h"
#include "server/leases/train_leases.h"

namespace samovar {

class PartTable final : public TrainLeases {
 public:
  // `parts` of each iteration, at least 1. `done`: iterations that every chunk holds already. Options.window and delay
  // are not used: iterations are done in order.
  PartTable(const Options& options, uint32_t parts, Ledger done);

  std::optional<Lease> Acquire(uint64_t worker, uint64_t workers, absl::Time now) override;
  void Renew(uint64_t worker, uint64_t lease_id, absl::Time now) override;
  void Waits(uint64_t worker, absl::Time now) override;
  void WaitsForServer(uint64_t worker, absl::Time now) override;
  void TookForPart(uint64_t worker, absl::Duration time, absl::Time now) override { shares_.Count(worker, time, now); }
  News Complete(uint64_t worker, uint64_t t, uint32_t part, absl::Time now) override;
  void Release(uint64_t lease_id) override;
  void ReleaseWorker(uint64_t worker) override;
  void RevokeAll() override { Restart(); }
  void Expire(absl::Time now) override;
  void SetLimit(uint64_t limit) override { limit_ = limit; }
  void AddMissing(const std::vector<IterationRange>& ranges) override;
  std::vector<uint64_t> TakeLate() override { return std::exchange(late_, {}); }
  std::vector<uint64_t> TakeRevoked(uint64_t worker) override;
  bool Holds(uint64_t worker, uint64_t lease_id) const override;
  std::vector<Lease> LeasesOf(uint64_t worker) const override;
  std::vector<Lease> Leases() const override;
  const Ledger& done() const override { return done_; }
  bool complete() const override { return done_.watermark() >= options_.max_iter; }
  uint64_t releases() const override { return releases_; }
  uint64_t speculative() const override { return speculative_; }
  uint64_t speculative_wasted() const override { return speculative_wasted_; }

 private:
  struct Entry {
    Lease lease;
    absl::Time granted;
    absl::Time renewed;
    // When it was granted, or last had a part done.
    absl::Time progressed;
    // When its holder first asked for another.
    absl::Time doubted = absl::InfiniteFuture();
  };

  // Makes the next iterations the newest range, and deals it, first of all to this worker. False: they may not be
  // leased now.
  bool BeginRound(uint64_t worker, absl::Time now);
  // Whether shares are left of the newest range, and all others of it, if there are any, are in the hands of workers
  // that wait for them.
  bool WaitsForFreeParts(absl::Time now) const;
  // The workers that hold up the lowest iteration that is not done, and are late with it; empty if nobody else is there
  // to do it.
  std::set<uint64_t> LateWorkers(absl::Time now) const;
  bool HoldsUp(const Entry& entry, uint64_t t) const;
  // Deals the parts that they have not done to the others.
  void ReplaceLate(const std::set<uint64_t>& workers, absl::Time now);
  bool WaitsForOthers(uint64_t worker, absl::Time now) const;
  // Whether the worker waits for a server that answers others.
  bool IsCutOff(uint64_t worker, absl::Time now) const;
  // The lease that the worker should still be busy with.
  Entry* UnfinishedOf(uint64_t worker);
  bool Finished(const Lease& lease) const;
  // Drops all leases: parts that are not done are dealt anew.
  void Restart();

  Options options_;
  const uint32_t parts_;
  Ledger done_;
  // The parts that are done of iterations that are not.
  std::map<uint64_t, std::set<uint32_t>> done_parts_;
  uint64_t limit_ = Ledger::kMaxEnd;
  PartShares shares_;
  // The newest range, the workers that it was dealt to, and the shares that they have not come for.
  IterationRange newest_;
  std::set<uint64_t> dealt_to_;
  std::map<uint64_t, PartRange> left_;
  // When a range was last dealt, or a lease granted or done.
  absl::Time changed_ = absl::InfinitePast();
  // Workers that ask for work.
  std::set<uint64_t> workers_;
  std::map<uint64_t, Entry> leases_;
  std::map<uint64_t, std::vector<uint64_t>> revoked_;
  // When each worker has last said that it waits for others; and that it waits for a server, if it said that later.
  std::map<uint64_t, absl::Time> waiting_;
  std::map<uint64_t, absl::Time> cut_off_;
  Suspects suspects_;
  std::vector<uint64_t> late_;
  Pace pace_;
  // When an iteration was last done.
  absl::Time advanced_ = absl::InfinitePast();
  // Iterations and parts that were taken from late workers, and not done since, with the worker that had each.
  std::map<std::pair<uint64_t, uint32_t>, uint64_t> replaced_;
  uint64_t next_id_ = 1;
  uint64_t releases_ = 0;
  uint64_t speculative_ = 0;
  uint64_t speculative_wasted_ = 0;
};

}  // namespace samovar
