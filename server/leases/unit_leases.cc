#include "server/leases/unit_leases.h"

#include <algorithm>
#include <utility>

#include "common/model/push_units.h"

namespace samovar {
namespace {

uint64_t UnitsIn(uint64_t iterations, uint32_t push_every) { return (iterations + push_every - 1) / push_every; }

// None: units go over the ends of blocks.
std::optional<IterationSchedule> OfUnits(const IterationSchedule& schedule, uint32_t push_every) {
  IterationSchedule::Options options = schedule.options();
  if (options.block % push_every != 0) return std::nullopt;
  options.block /= push_every;
  return *IterationSchedule::Create(options);
}

TrainLeases::Options OfUnits(TrainLeases::Options options, uint32_t push_every) {
  options.max_iter = UnitsIn(options.max_iter, push_every);
  options.stall *= push_every;
  if (options.delay.has_value()) options.delay = *options.delay / push_every;
  if (options.schedule.has_value()) options.schedule = OfUnits(*options.schedule, push_every);
  return options;
}

// The units that have all their iterations in the ledger.
Ledger WholeUnits(const Ledger& done, uint32_t push_every, uint64_t max_iter) {
  Ledger missing;
  for (const IterationRange& range : done.Missing(0, max_iter)) {
    missing.AddRange(range.begin / push_every, UnitsIn(range.end, push_every));
  }
  Ledger whole;
  for (const IterationRange& range : missing.Missing(0, UnitsIn(max_iter, push_every)))
    whole.AddRange(range.begin, range.end);
  return whole;
}

}  // namespace

UnitLeases::UnitLeases(const Options& options, uint32_t push_every, Ledger done)
    : max_iter_(options.max_iter),
      push_every_(push_every),
      done_(std::move(done)),
      units_(OfUnits(options, push_every), WholeUnits(done_, push_every, options.max_iter)) {}

TrainLeases::Lease UnitLeases::InIterations(Lease units) const {
  units.range.begin *= push_every_;
  units.range.end = std::min(max_iter_, units.range.end * push_every_);
  return units;
}

std::optional<TrainLeases::Lease> UnitLeases::Acquire(uint64_t worker, uint64_t workers, absl::Time now) {
  std::optional<Lease> lease = units_.Acquire(worker, workers, now);
  if (lease.has_value()) lease = InIterations(*std::move(lease));
  return lease;
}

TrainLeases::News UnitLeases::Complete(uint64_t worker, uint64_t t, uint32_t part, absl::Time now) {
  if (t >= max_iter_ || part != 0 || !done_.Add(t)) return News::kNothing;
  const uint64_t unit = t / push_every_;
  if (done_.Missing(unit * push_every_, UnitEnd(t, push_every_, max_iter_)).empty())
    units_.Complete(worker, unit, 0, now);
  return News::kIteration;
}

std::vector<IterationRange> UnitLeases::Touched(const std::vector<IterationRange>& ranges) const {
  std::vector<IterationRange> units;
  for (const IterationRange& range : ranges)
    units.push_back({range.begin / push_every_, UnitsIn(range.end, push_every_)});
  return units;
}

void UnitLeases::AddMissing(const std::vector<IterationRange>& ranges) {
  const std::vector<IterationRange> units = Touched(ranges);
  units_.AddMissing(units);
  std::vector<IterationRange> iterations;
  for (const IterationRange& range : units) iterations.push_back({range.begin * push_every_, range.end * push_every_});
  done_ = Without(done_, iterations, max_iter_);
}

std::vector<TrainLeases::Lease> UnitLeases::LeasesOf(uint64_t worker) const {
  std::vector<Lease> leases = units_.LeasesOf(worker);
  for (Lease& lease : leases) lease = InIterations(std::move(lease));
  return leases;
}

std::vector<TrainLeases::Lease> UnitLeases::Leases() const {
  std::vector<Lease> leases = units_.Leases();
  for (Lease& lease : leases) lease = InIterations(std::move(lease));
  return leases;
}

}  // namespace samovar
