// SyncRun simulates workers that share each iteration: each computes its parts of the batch, pushes a sum for each
// subtree that it has whole, and gets the new weights when all parts are there.
#pragma once

#include <cstdint>
#include <vector>

#include "cli/plan/backward_groups.h"
#include "cli/plan/cluster_model.h"
#include "cli/plan/run_meter.h"
#include "cli/plan/transfer_queue.h"
#include "common/model/part_tree.h"

namespace samovar {

// The subtrees of each worker that has parts: each takes as many as its share of all is, rounded up, until none is left
// (server/leases/part_table.cc).
std::vector<std::vector<PartRange>> DealParts(uint32_t parts, uint32_t workers);

class SyncRun {
 public:
  SyncRun(const JobShape& job, const JobChoices& choices, const ClusterSpec& spec, const ProcessCosts& costs,
          FluidSimulation* simulation, ClusterModel* cluster);

  void Run();
  const RunMeter& meter() const { return meter_; }

 private:
  struct Worker {
    Worker(uint32_t number, std::vector<PartRange> own, ClusterModel* cluster)
        : transfers(number, cluster), subtrees(std::move(own)) {}
    TransferQueue transfers;
    std::vector<PartRange> subtrees;
    uint64_t iteration = 0;
    size_t groups_left = 0;
  };

  void BeginIteration(uint32_t worker);
  void BeginSubtree(uint32_t worker, size_t subtree);
  void Backward(uint32_t worker, size_t subtree, size_t group);
  void Push(uint32_t worker, size_t subtree, size_t group);
  // A subtree's sum of the group is at the servers.
  void Arrive(size_t group);
  void Pull(size_t group);
  void Finish(uint32_t worker);
  double PartSeconds(uint32_t worker) const;

  const JobShape& job_;
  const JobChoices& choices_;
  const ProcessCosts& costs_;
  FluidSimulation& simulation_;
  ClusterModel& cluster_;
  std::vector<BackwardGroup> groups_;
  PassSeconds forward_;
  const double part_images_;
  const bool whole_;
  std::vector<Worker> workers_;
  // Sums of each group that are expected in an iteration, and that have come.
  size_t expected_ = 0;
  std::vector<size_t> arrived_;
  RunMeter meter_;
  size_t finished_ = 0;
};

}  // namespace samovar
