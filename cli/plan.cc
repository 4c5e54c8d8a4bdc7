// `samovar plan`: how many servers a job needs, in which mode, and how fast it will be on how many machines.
#include <algorithm>
#include <iostream>
#include <memory>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/describe_plan.h"
#include "cli/plan/planner.h"
#include "cli/read_job_shape.h"
#include "cli/report/exit_codes.h"
#include "common/base/status_macros.h"
#include "common/model/consistency.h"

namespace samovar {
namespace {

constexpr uint64_t kMaxProfileBytes = 1 << 20;
// The name of the machine that the command runs on.
constexpr char kThisMachine[] = "here";
// One way between two machines, unless said: virtual machines of one zone.
constexpr double kLatencyMs = 0.05;

bool IsThisMachine(const PlanOptions& options) { return options.vm == kThisMachine || options.one_machine; }

absl::StatusOr<Profile> ReadProfile(const PlanOptions& options) {
  if (options.profile.empty()) return BuiltInProfile();
  SAMOVAR_ASSIGN_OR_RETURN(const std::string text, options.storage.ReadBytes(options.profile, kMaxProfileBytes));
  absl::StatusOr<Profile> profile = ParseProfile(text);
  if (profile.ok()) return profile;
  return absl::InvalidArgumentError(absl::StrCat(options.profile, ": ", profile.status().message()));
}

absl::StatusOr<Machine> MachineOf(const PlanOptions& options, const Profile& profile) {
  Machine machine;
  if (IsThisMachine(options)) {
    machine = profile.reference;
    machine.name = "this machine";
    const double threads = std::max(1u, std::thread::hardware_concurrency());
    machine.cores *= threads / machine.threads;
    machine.threads = threads;
    machine.memory_bytes = 0;
  } else {
    SAMOVAR_ASSIGN_OR_RETURN(machine, FindMachine(options.vm));
  }
  if (options.network.empty()) return machine;
  SAMOVAR_ASSIGN_OR_RETURN(machine.network, ParseNetwork(options.network));
  return machine;
}

absl::StatusOr<PlanRequest> RequestOf(const PlanOptions& options) {
  SAMOVAR_ASSIGN_OR_RETURN(const Profile profile, ReadProfile(options));
  PlanRequest request;
  ClusterSpec& cluster = request.cluster;
  SAMOVAR_ASSIGN_OR_RETURN(cluster.worker_machine, MachineOf(options, profile));
  cluster.server_machine = cluster.worker_machine;
  cluster.workers = static_cast<uint32_t>(options.workers);
  cluster.one_machine = options.one_machine;
  const auto threads = static_cast<uint32_t>(cluster.worker_machine.threads);
  cluster.worker_threads = options.threads > 0   ? static_cast<uint32_t>(options.threads)
                           : options.one_machine ? 1
                                                 : threads;
  const auto servers = static_cast<uint32_t>(options.servers.value_or(options.one_machine ? 2 : 1));
  cluster.apply_threads = options.one_machine ? std::max(1u, threads / 2 / servers) : std::max(1u, threads / 2);
  cluster.latency_seconds = 1e-3 * options.latency_ms.value_or(options.one_machine ? 0 : kLatencyMs);
  if (options.servers.has_value() || options.one_machine) request.servers = servers;
  request.costs = profile.costs;
  request.mode_is_set = !options.mode.mode.empty();
  request.choices.mode = ModeOf(options.mode.mode);
  request.choices.push_every = options.push_every;
  request.choices.delay = options.mode.delay.value_or(kDefaultDelay * options.push_every);
  request.parts_are_set = options.mode.parts.has_value();
  request.choices.parts = options.mode.parts.value_or(1);
  request.encoding_is_set = !options.mode.encoding.empty();
  request.choices.encoding = EncodingOf(options.mode.encoding);
  request.choices.topk_ratio = options.mode.topk_ratio.value_or(kDefaultTopkRatio);
  JobShapeOptions job = {options.solver, options.state, options.shape, options.records, options.images_per_second};
  // The costs of processes on this machine are taken as they are.
  if (!IsThisMachine(options)) job.peak_flops = profile.peak_flops;
  job.storage = options.storage;
  SAMOVAR_ASSIGN_OR_RETURN(request.job, ReadJobShape(job));
  return request;
}

}  // namespace

int RunPlan(const PlanOptions& options) {
  const absl::StatusOr<PlanRequest> request = RequestOf(options);
  const absl::StatusOr<Plan> plan = request.ok() ? MakePlan(*request) : request.status();
  if (!plan.ok()) {
    PrintError(plan.status().message());
    return kExitUsage;
  }
  if (options.json) {
    std::cout << PlanJson(*request, *plan) << "\n";
  } else {
    std::cout << DescribePlan(*request, *plan);
  }
  return kExitOk;
}

}  // namespace samovar
