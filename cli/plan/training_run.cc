#include "cli/plan/training_run.h"

#include <algorithm>

#include "cli/plan/async_run.h"
#include "cli/plan/sync_run.h"

namespace samovar {

RunOutcome SimulateTraining(const JobShape& job, const JobChoices& choices, const ClusterSpec& cluster,
                            const ProcessCosts& costs) {
  ClusterSpec busy = cluster;
  RunOutcome outcome;
  const auto images = static_cast<double>(job.images());
  if (choices.mode == v1::CONSISTENCY_SYNC) {
    busy.workers = static_cast<uint32_t>(DealParts(choices.parts, cluster.workers).size());
    FluidSimulation simulation;
    ClusterModel model(job, choices, busy, costs, &simulation);
    SyncRun run(job, choices, cluster, costs, &simulation, &model);
    run.Run();
    outcome.iterations_per_second = run.meter().IterationsPerSecond();
    outcome.loads = model.Loads();
  } else {
    // Iterations that may be under way at the same time.
    if (choices.mode == v1::CONSISTENCY_BOUNDED)
      busy.workers = std::min(cluster.workers, choices.delay / choices.push_every + 1);
    FluidSimulation simulation;
    ClusterModel model(job, choices, busy, costs, &simulation);
    AsyncRun run(job, choices, busy, costs, busy.workers, &simulation, &model);
    run.Run();
    outcome.iterations_per_second = run.meter().IterationsPerSecond() * model.represented() * choices.push_every;
    outcome.staleness = run.meter().MeanStaleness();
    outcome.loads = model.Loads();
  }
  outcome.busy_workers = busy.workers;
  outcome.images_per_second = outcome.iterations_per_second * images;
  return outcome;
}

}  // namespace samovar
