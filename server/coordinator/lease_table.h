// LeaseTable leases ranges of whole iterations, each to one worker.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "server/coordinator/train_leases.h"

namespace samovar {

class LeaseTable final : public TrainLeases {
 public:
  // `done`: iterations that every chunk holds already.
  LeaseTable(const Options& options, Ledger done);

  // When nothing else is left, a range that another worker holds for longer than it should take is leased a second
  // time.
  std::optional<Lease> Acquire(uint64_t worker, uint64_t workers, absl::Time now) override;
  void Renew(uint64_t worker, absl::Time now) override;
  News Complete(uint64_t worker, uint64_t t, uint32_t part, absl::Time now) override;
  void Release(uint64_t lease_id) override;
  void ReleaseWorker(uint64_t worker) override;
  void RevokeAll() override;
  void Expire(absl::Time now) override;
  void SetLimit(uint64_t limit) override { limit_ = limit; }
  void AddMissing(const std::vector<IterationRange>& ranges) override;
  std::vector<uint64_t> TakeRevoked(uint64_t worker) override;
  bool Holds(uint64_t worker, uint64_t lease_id) const override;
  std::vector<Lease> LeasesOf(uint64_t worker) const override;
  const Ledger& done() const override { return done_; }
  bool complete() const override { return done_.watermark() >= options_.max_iter; }
  uint64_t releases() const override { return releases_; }

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
  using Entries = std::map<uint64_t, Entry>;

  uint64_t LengthFor(uint64_t worker, uint64_t workers) const;
  std::optional<IterationRange> TakeReturned(uint64_t length);
  std::optional<IterationRange> TakeFresh(uint64_t length);
  std::optional<IterationRange> TakeBackup(uint64_t worker, uint64_t length, absl::Time now);
  Entries::iterator EndLease(Entries::iterator entry, bool revoke);
  // Revokes the leases that cannot be done before the lowest iteration that was given back is.
  void RevokeBlocked();
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

}  // namespace samovar
