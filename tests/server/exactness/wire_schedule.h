// WireSchedule trains one small job once, with the real client and the real servers, over links that fail as a seed
// says, with workers that race and die, and with servers that are lost; and checks what has become of the model.
//
// Thread safety: none; asserts on the thread that runs it, which must be the test's own.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "common/model/part_tree.h"
#include "common/parameters/parameter_client.h"
#include "tests/common/parameters/parameter_server.h"
#include "tests/server/exactness/fault_link.h"
#include "tests/server/exactness/lease_board.h"
#include "tests/server/exactness/wire_job.h"
#include "tests/support/temp_dir.h"

namespace samovar {

// The choices that do not depend on the seed.
struct WireScenario {
  enum class Losses {
    kNone,
    // Servers one by one, each restored from what it last wrote itself, at a moment of its own; the others go on.
    kServers,
    // All go back to a snapshot of the same iteration, as another opening in the same epoch.
    kRollback
  };
  // As in OpenJobRequest.
  uint32_t parts = 0;
  std::string solver = "SGD";
  // An iteration t is computed from weights that hold all before t - delay. None: from those that there are.
  std::optional<uint64_t> delay = {};
  v1::Encoding encoding = v1::ENCODING_FLOAT32;
  Losses losses = Losses::kNone;
  // Workers push parts alone, and as sums of subtrees that have them.
  bool subtrees = false;
};

class WireSchedule {
 public:
  WireSchedule(uint64_t seed, const WireScenario& scenario);
  // One worker, one server, and nothing that fails.
  static Weights Undisturbed(const WireScenario& scenario);

  // Trains, and checks that every chunk holds every iteration once: by its ledger, its counters, and its weights.
  void Run();

  const Weights& final_weights() const { return final_weights_; }
  FaultLink::Counts counts() const;
  int workers_lost() const { return workers_lost_; }
  int servers_lost() const { return servers_lost_; }

 private:
  struct Setup {
    uint32_t servers = 1;
    uint32_t workers = 1;
    // Of each worker to each server.
    uint32_t channels = 1;
    FaultLink::Faults faults;
    // Of each iteration that a worker computes, in percent.
    int dies = 0;
  };

  WireSchedule(uint64_t seed, const WireScenario& scenario, const Setup& setup);
  static Setup SetupOf(uint64_t seed);

  uint32_t parts() const { return std::max(1u, scenario_.parts); }
  uint64_t Draw(uint64_t below) { return random_() % below; }

  // --- on the workers' threads: no assertions ---
  void Work(uint64_t seed);
  // A worker's work for a lease. Null when this returns: the worker has died in the middle of it.
  absl::Status Compute(std::unique_ptr<ParameterClient>* worker, const LeaseBoard::Lease& lease,
                       std::mt19937_64* random) const;
  // The subtree that a worker pushes for this part of the lease, and its values.
  PartRange SubtreeWith(uint32_t part, std::mt19937_64* random) const;
  Weights ValuesOf(const ParameterClient& worker, uint64_t t, const PartRange& subtree, const Weights& weights) const;
  absl::Status CheckPulled(const Weights& weights, uint64_t watermark) const;
  PulledWeights WeightsFor(uint64_t t) const;
  std::unique_ptr<ParameterClient> MakeClient(const std::vector<std::string>& servers, uint64_t opening) const;

  // --- on the test's ---
  void LoseServers();
  // To a snapshot of that iteration, the limit of the leases until it is written.
  void RollBack(uint64_t checkpoint);
  void Persist(size_t server, uint64_t name);
  void Restart(size_t server, std::optional<uint64_t> snapshot);
  // Pushes from before the servers went back arrive at last.
  void DeliverLate(size_t server);
  // The server's ledgers, weights and counters agree.
  void CheckServer(size_t server);
  void CheckEnd();

  const WireScenario scenario_;
  const Setup setup_;
  std::mt19937_64 random_;
  TempDir dir_;
  uint64_t opening_ = 1;
  std::vector<std::unique_ptr<ParameterServer>> servers_;
  // The last snapshot of each server.
  std::vector<std::optional<uint64_t>> snapshots_;
  std::vector<std::unique_ptr<FaultLink>> links_;
  std::vector<std::string> addresses_;
  LeaseBoard board_;
  // A count only.
  std::atomic<int> workers_lost_{0};
  int servers_lost_ = 0;
  Weights final_weights_;
};

}  // namespace samovar
