// The simulated training of a job whose rate is known otherwise.
#include "cli/plan/training_run.h"

#include <algorithm>

#include "cli/plan/backward_groups.h"
#include "cli/plan/sync_run.h"
#include "tests/cli/plan/plan_shapes.h"
#include "tests/support/catch.h"

namespace samovar {
namespace {

// Costs as they are, on an endless network.
ProcessCosts Measured() {
  ProcessCosts costs = BuiltInProfile().costs;
  costs.jitter = 0;
  return costs;
}

double Rate(const JobChoices& choices, const ClusterSpec& cluster, const ProcessCosts& costs = NoCosts()) {
  return SimulateTraining(RoundJob(), choices, cluster, costs).images_per_second;
}

JobChoices Sync(uint32_t parts) {
  JobChoices choices;
  choices.mode = v1::CONSISTENCY_SYNC;
  choices.parts = parts;
  return choices;
}

TEST_CASE("one worker with nothing in its way trains as fast as it computes") {
  CHECK(Rate({}, RoundCluster(1, 1, 0)) == Approx(100).epsilon(0.001));
  CHECK(Rate(Sync(1), RoundCluster(1, 1, 0)) == Approx(100).epsilon(0.001));
  CHECK(Rate({}, RoundCluster(8, 2, 0)) == Approx(800).epsilon(0.001));
}

// The rate of a job that computes so fast that leases have many iterations.
double FastRate(const JobChoices& choices, const ClusterSpec& cluster) {
  return SimulateTraining(RoundJob(1000), choices, cluster, NoCosts()).images_per_second;
}

TEST_CASE("workers behind a full server link share its bytes a second") {
  // 4 MB an iteration each way; a link of 10 GB/s, 9.4 of them payload, passes 2350 iterations of 10 images a second.
  const double full = 10'000 * ClusterModel::kPayload / 4 * 10;
  CHECK(FastRate({}, RoundCluster(16, 1, 10e9)) == Approx(full).epsilon(0.02));
  // Two servers pass twice as much, but for what the fuller one has more.
  CHECK(FastRate({}, RoundCluster(16, 2, 10e9)) == Approx(2 * full).epsilon(0.05));
}

TEST_CASE("a thousand workers are as many as the servers' links let pass") {
  const double full = 100'000 * ClusterModel::kPayload / 4 * 10;
  const RunOutcome outcome = SimulateTraining(RoundJob(1000), {}, RoundCluster(1000, 1, 100e9), NoCosts());
  CHECK(outcome.images_per_second == Approx(full).epsilon(0.02));
  CHECK(outcome.staleness == Approx(999).epsilon(0.05));
}

TEST_CASE("no resource of a cluster is used beyond its capacity") {
  for (const double network : {1e6, 20e6, 1e9, 0.0}) {
    for (const uint32_t workers : {1u, 5u, 40u}) {
      for (const JobChoices& choices : {JobChoices(), Sync(5)}) {
        for (const Load& load :
             SimulateTraining(RoundJob(), choices, RoundCluster(workers, 3, network), Measured()).loads) {
          INFO(load.resource);
          CHECK(load.used >= 0);
          CHECK(load.used <= 1 + 1e-6);
        }
      }
    }
  }
}

TEST_CASE("a faster network never makes training slower") {
  for (const JobChoices& choices : {JobChoices(), Sync(5), Sync(10)}) {
    double before = 0;
    for (const double network : {1e6, 5e6, 20e6, 125e6, 1.25e9, 12.5e9}) {
      const double rate = Rate(choices, RoundCluster(6, 2, network), Measured());
      CHECK(rate >= before * 0.999);
      before = rate;
    }
  }
}

TEST_CASE("the same inputs have the same outcome, and another seed a similar one") {
  ClusterSpec cluster = RoundCluster(7, 2, 50e6);
  ProcessCosts costs = Measured();
  costs.jitter = 0.1;
  const double first = Rate({}, cluster, costs);
  CHECK(Rate({}, cluster, costs) == first);
  cluster.seed = 2;
  CHECK(Rate({}, cluster, costs) != first);
  CHECK(Rate({}, cluster, costs) == Approx(first).epsilon(0.1));
}

TEST_CASE("equal workers in sync mode share a batch evenly, and wait for the parts that do not divide among them") {
  CHECK(Rate(Sync(10), RoundCluster(2, 1, 0)) == Approx(200).epsilon(0.001));
  CHECK(Rate(Sync(10), RoundCluster(10, 1, 0)) == Approx(1000).epsilon(0.001));
  // 4, 4 and 2 parts.
  CHECK(Rate(Sync(10), RoundCluster(3, 1, 0)) == Approx(250).epsilon(0.001));
  // Workers beyond the parts have nothing to do.
  const RunOutcome outcome = SimulateTraining(RoundJob(), Sync(5), RoundCluster(9, 1, 0), NoCosts());
  CHECK(outcome.busy_workers == 5);
  CHECK(outcome.images_per_second == Approx(500).epsilon(0.001));
  CHECK(outcome.staleness == 0);
}

TEST_CASE("sync mode without overlap is computing, then the bytes there, then the bytes back") {
  JobShape job = RoundJob();
  job.final_as_whole = true;
  // 0.05 s; two workers' 4 MB each way through a link of 40 MB/s, 37.6 of them payload.
  const double seconds = 0.05 + 2 * (8 / 37.6);
  const RunOutcome outcome = SimulateTraining(job, Sync(2), RoundCluster(2, 1, 40e6), NoCosts());
  CHECK(outcome.iterations_per_second == Approx(1 / seconds).epsilon(0.01));
}

TEST_CASE("a straggler slows asynchronous workers by its own part, and all of sync mode") {
  ClusterSpec cluster = RoundCluster(5, 1, 0);
  cluster.slow_workers = 1;
  cluster.slowness = 2;
  CHECK(Rate({}, cluster) == Approx(450).epsilon(0.02));
  CHECK(Rate(Sync(5), cluster) == Approx(250).epsilon(0.01));
}

TEST_CASE("a bounded delay keeps so many workers busy, and one more") {
  JobChoices bounded;
  bounded.mode = v1::CONSISTENCY_BOUNDED;
  bounded.delay = 3;
  CHECK(SimulateTraining(RoundJob(), bounded, RoundCluster(9, 1, 0), NoCosts()).busy_workers == 4);
  CHECK(Rate(bounded, RoundCluster(9, 1, 0)) == Approx(400).epsilon(0.05));
  bounded.delay = 0;
  CHECK(Rate(bounded, RoundCluster(9, 1, 0)) == Approx(100).epsilon(0.01));
}

TEST_CASE("fewer bytes and fewer pushes help where the network is full") {
  const ClusterSpec cluster = RoundCluster(8, 1, 1e9);
  const double as_is = FastRate({}, cluster);
  JobChoices int8;
  int8.encoding = v1::ENCODING_INT8_BLOCKS;
  CHECK(FastRate(int8, cluster) == Approx(as_is * 4 / 1.0157).epsilon(0.02));
  JobChoices units;
  units.push_every = 4;
  CHECK(FastRate(units, cluster) == Approx(4 * as_is).epsilon(0.02));
}

TEST_CASE("processes on one machine share its processors") {
  ClusterSpec cluster = RoundCluster(4, 1, 0);
  cluster.one_machine = true;
  cluster.worker_machine.cores = 2;
  cluster.worker_machine.threads = 2;
  CHECK(Rate({}, cluster) == Approx(200).epsilon(0.01));
  // A server that is asked for half as much processor time as the workers compute takes it from them.
  ProcessCosts costs = NoCosts();
  costs.apply = 0.05 / 1e6;
  CHECK(Rate({}, cluster, costs) == Approx(200 / 1.5).epsilon(0.02));
}

TEST_CASE("layers without parameters below all others belong to the last gradients that leave") {
  JobShape job = RoundJob();
  LayerShape pool;
  pool.backward.per_image = 0.01;
  job.layers.insert(job.layers.begin(), pool);
  for (const uint32_t chunk : {4096u, 2'000'000u}) {
    const std::vector<BackwardGroup> groups = BackwardGroups(job, chunk);
    double floats = 0;
    double seconds = 0;
    for (const BackwardGroup& group : groups) {
      floats += group.floats;
      seconds += group.seconds.Of(10);
    }
    CHECK(groups.back().floats > 0);
    CHECK(floats == 1e6);
    CHECK(seconds == Approx(0.1 + 0.2 / 3));
  }
  CHECK(SimulateTraining(job, {}, RoundCluster(2, 1, 0), NoCosts()).images_per_second == Approx(100).epsilon(0.01));
}

TEST_CASE("a worker that fails is missed for as long as it is away") {
  ClusterSpec cluster = RoundCluster(10, 1, 0);
  cluster.worker_fails_after = 2;
  cluster.worker_back_after = 2;
  const double rate = Rate({}, cluster);
  CHECK(rate < 900);
  CHECK(rate > 300);
}

TEST_CASE("parts are dealt as the coordinator does") {
  CHECK(DealParts(8, 1) == std::vector<std::vector<PartRange>>{{{0, 8}}});
  CHECK(DealParts(8, 2) == std::vector<std::vector<PartRange>>{{{0, 4}}, {{4, 4}}});
  CHECK(DealParts(8, 3) == std::vector<std::vector<PartRange>>{{{0, 2}, {2, 1}}, {{3, 1}, {4, 2}}, {{6, 2}}});
}

}  // namespace
}  // namespace samovar
