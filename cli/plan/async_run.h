// AsyncRun simulates workers that each compute whole iterations, in the modes async and bounded, with any push_every.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <vector>

#include "cli/plan/backward_groups.h"
#include "cli/plan/cluster_model.h"
#include "cli/plan/run_meter.h"
#include "cli/plan/transfer_queue.h"

namespace samovar {

class AsyncRun {
 public:
  // All outlive it. `workers`: that have something to do.
  AsyncRun(const JobShape& job, const JobChoices& choices, const ClusterSpec& spec, const ProcessCosts& costs,
           uint32_t workers, FluidSimulation* simulation, ClusterModel* cluster);

  void Run();
  const RunMeter& meter() const { return meter_; }

 private:
  struct Worker {
    explicit Worker(uint32_t number, ClusterModel* cluster) : transfers(number, cluster) {}
    TransferQueue transfers;
    // The unit (of push_every iterations) under way, and how many of its lease come after it.
    uint64_t unit = 0;
    uint64_t left = 0;
    // Updates in the weights that it computes from.
    uint64_t pulled = 0;
    uint64_t computed = 0;
    double begun = 0;
    double unit_seconds = 0;
    double fails_at = 0;
  };

  void BeginLease(uint32_t worker);
  // Once the mode lets it: pulls all weights and begins a unit.
  void PullAndCompute(uint32_t worker);
  void Compute(uint32_t worker);
  void Backward(uint32_t worker, size_t group);
  void AwaitAnswer(uint32_t worker);
  void Finish(uint32_t worker);
  // Whether the weights that the unit may be computed from are there.
  bool MayCompute(uint64_t unit) const;
  void TakeDone(uint64_t unit);
  uint64_t LeaseLength(const Worker& worker) const;

  const JobShape& job_;
  const JobChoices& choices_;
  const ClusterSpec& spec_;
  const ProcessCosts& costs_;
  FluidSimulation& simulation_;
  ClusterModel& cluster_;
  RunMeter meter_;
  const std::vector<BackwardGroup> groups_;
  PassSeconds forward_;
  const bool whole_;
  // Units that are under way at most beyond the lowest one that is not done; none: any number.
  std::optional<uint64_t> delay_;
  std::vector<Worker> workers_;
  std::vector<uint32_t> waiting_;
  uint64_t next_unit_ = 0;
  uint64_t applied_ = 0;
  uint64_t watermark_ = 0;
  std::set<uint64_t> beyond_;
};

}  // namespace samovar
