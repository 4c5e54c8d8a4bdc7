// Chooses what a user leaves open of a job on a cluster (servers, mode, encoding), and says what is to be
// expected, and what would change it. All rates are those of the model (training_run.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/plan/cluster_model.h"
#include "cli/plan/job_shape.h"
#include "cli/plan/machine_profile.h"
#include "cli/plan/training_run.h"

namespace samovar {

// Fields that are unset are chosen.
struct PlanRequest {
  JobShape job;
  // Mode, parts and encoding count where they are set; the other fields always do.
  JobChoices choices;
  bool mode_is_set = false;
  bool parts_are_set = false;
  bool encoding_is_set = false;
  std::optional<uint32_t> servers;
  // Workers, machines, network; its servers are not looked at.
  ClusterSpec cluster;
  ProcessCosts costs;
};

// A change of the plan, and what it would do.
struct Alternative {
  std::string change;
  double images_per_second = 0;
};

struct Plan {
  JobChoices choices;
  ClusterSpec cluster;
  RunOutcome outcome;
  // One worker's, with nothing in its way.
  double alone_images_per_second = 0;
  // The rate, of so many times that as there are workers.
  double efficiency = 0;
  // In async mode: workers that lose no accuracy; none: any number.
  std::optional<uint64_t> workers_without_loss;
  // Empty: none.
  std::string accuracy_warning;
  double worker_bytes = 0;
  double server_bytes = 0;
  // "": they fit; else which machine has too little memory.
  std::string memory_warning;
  double epoch_seconds = 0;
  double job_seconds = 0;
  // In words: why the job is no faster.
  std::string bottleneck;
  // The best first; those that change nothing are left out.
  std::vector<Alternative> alternatives;
};

// INVALID_ARGUMENT: parts that do not divide the batch, or an encoding that the mode does not have.
absl::StatusOr<Plan> MakePlan(const PlanRequest& request);

}  // namespace samovar
