// UnitLeases leases units of iterations (common/model/push_units.h): every lease begins with a unit and ends with one.
// A LeaseTable of whole units; all that callers see is in iterations.
//
// Workers report iterations, each when its unit is pushed; a unit is done when all of its iterations are reported.
// Leases, lateness and pace are those of units.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "server/leases/lease_table.h"
#include "server/leases/train_leases.h"

namespace samovar {

class UnitLeases final : public TrainLeases {
 public:
  // `options` in iterations, but for the window and a lease's greatest length, which are so many units. `done`:
  // iterations that every chunk holds already. REQUIRES: push_every >= 1; a delay is at least as long
  UnitLeases(const Options& options, uint32_t push_every, Ledger done);

  std::optional<Lease> Acquire(uint64_t worker, uint64_t workers, absl::Time now) override;
  void Renew(uint64_t worker, uint64_t lease_id, absl::Time now) override { units_.Renew(worker, lease_id, now); }
  void Waits(uint64_t worker, absl::Time now) override { units_.Waits(worker, now); }
  News Complete(uint64_t worker, uint64_t t, uint32_t part, absl::Time now) override;
  void Release(uint64_t lease_id) override { units_.Release(lease_id); }
  void ReleaseWorker(uint64_t worker) override { units_.ReleaseWorker(worker); }
  void RevokeAll() override { units_.RevokeAll(); }
  void Expire(absl::Time now) override { units_.Expire(now); }
  // A limit within a unit keeps the whole unit back.
  void SetLimit(uint64_t limit) override { units_.SetLimit(limit / push_every_); }
  void AddMissing(const std::vector<IterationRange>& ranges) override;
  std::vector<uint64_t> TakeLate() override { return units_.TakeLate(); }
  std::vector<uint64_t> TakeRevoked(uint64_t worker) override { return units_.TakeRevoked(worker); }
  bool Holds(uint64_t worker, uint64_t lease_id) const override { return units_.Holds(worker, lease_id); }
  std::vector<Lease> LeasesOf(uint64_t worker) const override;
  std::vector<Lease> Leases() const override;
  const Ledger& done() const override { return done_; }
  bool complete() const override { return units_.complete(); }
  uint64_t releases() const override { return units_.releases(); }
  uint64_t speculative() const override { return units_.speculative() * push_every_; }
  uint64_t speculative_wasted() const override { return units_.speculative_wasted() * push_every_; }

 private:
  Lease InIterations(Lease units) const;
  // The units that the ranges touch.
  std::vector<IterationRange> Touched(const std::vector<IterationRange>& ranges) const;

  const uint64_t max_iter_;
  const uint32_t push_every_;
  // In iterations.
  Ledger done_;
  LeaseTable units_;
};

}  // namespace samovar
