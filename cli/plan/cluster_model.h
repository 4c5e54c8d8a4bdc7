// ClusterModel is the machines of a job as resources of a FluidSimulation: processors, links and threads, and what
// workers and servers do with them. What a worker does when is up to its mode's run (training_run.h).
//
// All servers have the same share of the model (chunk c is at server c modulo their number), so they are one group with
// the capacity of all, less what the fullest has more than the mean. More than kMostSimulated workers are simulated by
// so many, each of which stands for several, with as small a part of the servers.
//
// Thread safety: none.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "cli/plan/fluid_simulation.h"
#include "cli/plan/job_shape.h"
#include "cli/plan/machine_profile.h"

namespace samovar {

struct ClusterSpec {
  uint32_t workers = 1;
  uint32_t servers = 1;
  // Compute threads of a worker, apply threads of a server.
  uint32_t worker_threads = 1;
  uint32_t apply_threads = 1;
  Machine worker_machine;
  Machine server_machine;
  // All processes share the processors of one machine, the workers'.
  bool one_machine = false;
  // One way between two machines.
  double latency_seconds = 0;
  // So many of the workers compute so many times longer than the others.
  uint32_t slow_workers = 0;
  double slowness = 1;
  // A worker dies after so many seconds on average, and is back after others; 0: never.
  double worker_fails_after = 0;
  double worker_back_after = 30;
  uint64_t seed = 1;
};

// Where the time goes that is waited for; for reports.
struct Load {
  // "workers' processors", "servers' network, incoming", ...
  absl::string_view resource;
  // The part of its capacity.
  double used = 0;
};

class ClusterModel {
 public:
  using Done = FluidSimulation::Done;
  enum class Way { kPush, kPull, kBoth };

  static constexpr uint32_t kMostSimulated = 24;
  // The part of a link's bytes that are payload: the others are headers of Ethernet, IP and TCP.
  static constexpr double kPayload = 0.94;

  ClusterModel(const JobShape& job, const JobChoices& choices, const ClusterSpec& spec, const ProcessCosts& costs,
               FluidSimulation* simulation);

  uint32_t workers() const { return workers_; }
  // Workers that each of the simulated ones stands for.
  double represented() const { return represented_; }
  uint32_t chunk_elements() const { return chunk_elements_; }

  // A worker computes what takes so many seconds of one thread of the reference machine.
  void Compute(uint32_t worker, double seconds, Done done);
  // So many floats of the flat vector travel. `as_float32`: in any encoding, as sums of parts do. `apply`: seconds of a
  // server's processor for each, besides.
  void Transfer(uint32_t worker, double floats, Way way, bool as_float32, double apply, Done done);
  // Servers work so many seconds a float.
  void Apply(double floats, double seconds_a_float, Done done);
  // Behind the last float of a transfer: until its answer is there.
  double AnswerSeconds(Way way) const;
  // The servers' work and bytes for a push and a pull of all workers, one after the other.
  double RoundSeconds() const;
  double AddSeconds() const { return costs_.add * factor_; }
  double ApplySeconds() const;

  // A factor of this iteration's compute time; with `slowest`, of the slowest of the workers that one stands for.
  double Jitter(uint32_t worker, uint64_t iteration, bool slowest) const;

  // Counts from now on.
  void BeginLoads();
  std::vector<Load> Loads() const;

 private:
  // Seconds and bytes of a float's way.
  struct FloatWay {
    double push_bytes = 0;
    double pull_bytes = 0;
    double worker_seconds = 0;
    double server_seconds = 0;
  };

  void AddResources();
  FloatWay Costs(Way way, bool as_float32, double apply) const;
  double RequestFloats(const FloatWay& way) const;
  // A byte's time on the slower of a worker's link and a server's.
  double ByteSeconds() const;
  double RequestSeconds(const FloatWay& way) const;

  const JobShape& job_;
  const JobChoices choices_;
  const ClusterSpec spec_;
  const ProcessCosts costs_;
  FluidSimulation& simulation_;
  uint32_t workers_ = 0;
  double represented_ = 1;
  uint32_t chunk_elements_ = 0;
  uint32_t channels_ = 1;
  // Servers in the group, by the fullest one's share.
  double group_ = 1;
  // Costs of arithmetic on whole vectors, by the model's size.
  double factor_ = 1;
  // The computing thread moves the bytes itself, between layers.
  bool short_layers_ = false;

  struct WorkerResources {
    int processors;
    int thread;
    int out = -1;
    int in = -1;
  };
  std::vector<WorkerResources> worker_resources_;
  int server_processors_ = -1;
  int server_threads_ = -1;
  int server_out_ = -1;
  int server_in_ = -1;
  double begun_ = 0;
  std::vector<double> passed_;
};

}  // namespace samovar
