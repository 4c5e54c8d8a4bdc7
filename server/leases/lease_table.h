// LeaseTable leases ranges of whole iterations, each to one worker, and those of a late worker to another as well.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "server/leases/partition_affinity.h"
#include "server/leases/suspects.h"
#include "server/leases/train_leases.h"

namespace samovar {

class LeaseTable final : public TrainLeases {
 public:
  // `done`: iterations that every chunk holds already.
  LeaseTable(const Options& options, Ledger done);

  std::optional<Lease> Acquire(uint64_t worker, uint64_t workers, absl::Time now) override;
  void Renew(uint64_t worker, uint64_t lease_id, absl::Time now) override;
  // Which iterations are waited for is known without.
  void Waits(uint64_t, absl::Time) override {}
  News Complete(uint64_t worker, uint64_t t, uint32_t part, absl::Time now) override;
  void Release(uint64_t lease_id) override;
  void ReleaseWorker(uint64_t worker) override;
  void RevokeAll() override;
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
    absl::Time renewed;
    // When it was granted, or last had an iteration done.
    absl::Time progressed;
    absl::Time granted;
    // Others hold its iterations, too, and did so first.
    bool speculative = false;
    // One that waited for it was revoked.
    bool relieved = false;
  };
  using Entries = std::map<uint64_t, Entry>;

  uint64_t LengthFor(uint64_t worker, uint64_t workers) const;
  std::optional<IterationRange> TakeReturned(uint64_t length);
  std::optional<IterationRange> TakeFresh(uint64_t worker, uint64_t length);
  // Takes fresh_ beyond the iterations that were leased, or are done.
  void AdvanceFresh(uint64_t limit);
  // The first run of iterations in [begin, end) that were never leased and are not done, no longer than `length`;
  // empty: none.
  IterationRange FirstFresh(uint64_t begin, uint64_t end, uint64_t length) const;
  // Where the block of an iteration ends; without partitions, nowhere.
  uint64_t BlockEnd(uint64_t t) const;
  // Chooses the block that suits the worker best of those that may be begun now: its part of [fresh_, limit). REQUIRES:
  // fresh_ < limit, and it was never leased
  IterationRange ChooseBlock(uint64_t worker, uint64_t limit) const;
  // Iterations that a late worker holds, and no other that is in time.
  std::optional<IterationRange> TakeLate(uint64_t worker, uint64_t length, absl::Time now);
  bool Late(const Entry& entry, absl::Time now) const;
  // The time that an iteration should take the worker: its own pace, or else the average of the others. 0: none is done
  // yet.
  absl::Duration ExpectedFor(uint64_t worker) const;
  // The lowest iteration of an unfinished lease that is not done.
  uint64_t LowestUndone(const Entry& entry) const {
    return done_.Missing(entry.lease.range.begin, entry.lease.range.end).front().begin;
  }
  // Whether the iteration cannot be computed before others are done.
  bool Blocked(uint64_t t) const { return options_.delay.has_value() && t > done_.watermark() + *options_.delay; }
  // Whether a worker that is in time holds the iteration, or the worker itself does.
  bool InGoodHands(uint64_t t, uint64_t worker, absl::Time now) const;
  Entries::iterator EndLease(Entries::iterator entry, bool revoke);
  // Revokes the leases that cannot be done before the lowest iteration that was given back is.
  void RevokeBlocked();
  // If a late lease holds up all beyond the delay, and no other worker has its iterations, revokes one that waits: its
  // worker will ask.
  void RelieveLate(absl::Time now);
  bool Finished(const Entry& entry) const;

  // First iteration that may not be leased now.
  uint64_t End() const;

  // Whether the worker is left out for now, since others would have to wait for it again.
  bool LeftOut(uint64_t worker, absl::Time now) const;

  Options options_;
  Ledger done_;
  uint64_t limit_ = Ledger::kMaxEnd;
  // Below this every iteration has been leased or was done at the start.
  uint64_t fresh_ = 0;
  // With partitions: all below fresh_, and those beyond it that were leased.
  Ledger ahead_;
  std::optional<PartitionAffinity> affinity_;
  // Given back: to be leased again before fresh ones.
  std::set<uint64_t> returned_;
  Entries leases_;
  std::map<uint64_t, Pace> paces_;
  std::map<uint64_t, std::vector<uint64_t>> revoked_;
  // With a delay only.
  Suspects suspects_;
  std::vector<uint64_t> late_;
  uint64_t next_id_ = 1;
  // When the lowest iteration that is not done became another.
  absl::Time advanced_ = absl::InfinitePast();
  uint64_t releases_ = 0;
  uint64_t speculative_ = 0;
  uint64_t speculative_wasted_ = 0;
};

}  // namespace samovar
