// RunMeter counts what a simulated run does once it goes evenly.
#pragma once

#include <cstdint>

#include "cli/plan/cluster_model.h"
#include "cli/plan/fluid_simulation.h"

namespace samovar {

class RunMeter {
 public:
  // Rounds are so many iterations as there are simulated workers that have something to do.
  RunMeter(uint64_t iterations_a_round, FluidSimulation* simulation, ClusterModel* cluster)
      : round_(iterations_a_round), simulation_(*simulation), cluster_(*cluster) {}

  // An iteration is done. `staleness`: updates that came between.
  void Count(double staleness) {
    ++done_;
    if (done_ == kWarmUpRounds * round_) {
      begun_ = simulation_.now();
      cluster_.BeginLoads();
    } else if (done_ > kWarmUpRounds * round_) {
      staleness_ += staleness;
    }
  }
  bool Enough() const { return done_ >= (kWarmUpRounds + kRounds) * round_; }

  double IterationsPerSecond() const { return static_cast<double>(kRounds * round_) / (simulation_.now() - begun_); }
  double MeanStaleness() const { return staleness_ / static_cast<double>(kRounds * round_); }

 private:
  static constexpr uint64_t kWarmUpRounds = 5;
  static constexpr uint64_t kRounds = 16;

  const uint64_t round_;
  FluidSimulation& simulation_;
  ClusterModel& cluster_;
  uint64_t done_ = 0;
  double begun_ = 0;
  double staleness_ = 0;
};

}  // namespace samovar
