#include "cli/plan/planner.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/plan/memory_need.h"
#include "common/base/status_macros.h"
#include "common/model/consistency.h"

namespace samovar {
namespace {

constexpr uint32_t kServerCounts[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64};
// Encodings that cost no accuracy (benchmarks/README.md), the plainest first.
constexpr v1::Encoding kEncodings[] = {v1::ENCODING_FLOAT32, v1::ENCODING_BFLOAT16, v1::ENCODING_INT8_BLOCKS};
// So much of the best rate a machine will do, if fewer servers or a plainer encoding reach it.
constexpr double kNearlyBest = 0.97;
// A resource that is used so much holds the job up.
constexpr double kFull = 0.85;
// A change that gains less is not worth telling.
constexpr double kWorthTelling = 1.03;

struct Candidate {
  JobChoices choices;
  uint32_t servers = 1;
  RunOutcome outcome;
};

class Planner {
 public:
  explicit Planner(const PlanRequest& request) : request_(request) {}

  RunOutcome Simulate(const JobChoices& choices, const ClusterSpec& cluster) const {
    return SimulateTraining(request_.job, choices, cluster, request_.costs);
  }
  RunOutcome Simulate(const JobChoices& choices, uint32_t servers) const {
    ClusterSpec cluster = request_.cluster;
    cluster.servers = servers;
    return Simulate(choices, cluster);
  }

  // The fewest servers, and then the plainest encoding, that come near the most images a second and machine.
  Candidate Best(JobChoices choices) const {
    std::vector<Candidate> candidates;
    double best = 0;
    for (const uint32_t servers : ServerCounts()) {
      for (const v1::Encoding encoding : kEncodings) {
        if (!request_.encoding_is_set) choices.encoding = encoding;
        candidates.push_back({choices, servers, Simulate(choices, servers)});
        best = std::max(best, ByMachine(candidates.back()));
        if (request_.encoding_is_set) break;
      }
    }
    return *std::find_if(candidates.begin(), candidates.end(),
                         [&](const Candidate& candidate) { return ByMachine(candidate) >= kNearlyBest * best; });
  }

  Candidate Choose() const {
    JobChoices choices = request_.choices;
    if (request_.mode_is_set) return Best(WithParts(choices));
    choices.mode = v1::CONSISTENCY_ASYNC;
    Candidate async = Best(choices);
    const std::optional<uint64_t> limit = WithoutLoss(choices.mode);
    if (!limit.has_value() || request_.cluster.workers <= *limit || choices.push_every > 1 ||
        (request_.encoding_is_set && choices.encoding == v1::ENCODING_SPARSE))
      return async;
    choices.mode = v1::CONSISTENCY_SYNC;
    Candidate sync = Best(WithParts(choices));
    ClusterSpec fewer = request_.cluster;
    fewer.servers = async.servers;
    fewer.workers = static_cast<uint32_t>(*limit);
    const double lossless = Simulate(async.choices, fewer).images_per_second;
    return sync.outcome.images_per_second > lossless ? sync : async;
  }

  std::optional<uint64_t> WithoutLoss(v1::ConsistencyMode mode) const {
    v1::Consistency consistency;
    consistency.set_mode(mode);
    consistency.set_push_every(request_.choices.push_every);
    return WorkersWithoutLoss(consistency, request_.job.max_iter);
  }

 private:
  double ByMachine(const Candidate& candidate) const {
    return candidate.outcome.images_per_second / (request_.cluster.workers + candidate.servers);
  }
  std::vector<uint32_t> ServerCounts() const {
    if (request_.servers.has_value()) return {*request_.servers};
    std::vector<uint32_t> counts;
    for (const uint32_t count : kServerCounts) {
      if (count <= std::max(1u, request_.cluster.workers)) counts.push_back(count);
    }
    return counts;
  }
  JobChoices WithParts(JobChoices choices) const {
    if (choices.mode == v1::CONSISTENCY_SYNC && !request_.parts_are_set)
      choices.parts = PartsFor(request_.job.batch, request_.cluster.workers);
    return choices;
  }

  const PlanRequest& request_;
};

const Load* Fullest(const std::vector<Load>& loads) {
  const auto fullest =
      std::max_element(loads.begin(), loads.end(), [](const Load& a, const Load& b) { return a.used < b.used; });
  return fullest == loads.end() ? nullptr : &*fullest;
}

std::string BottleneckText(const PlanRequest& request, const Plan& plan) {
  const uint32_t busy = plan.outcome.busy_workers;
  const std::string idle =
      busy < plan.cluster.workers ? absl::StrCat("; only ", busy, " workers have something to do at a time") : "";
  const Load* const fullest = Fullest(plan.outcome.loads);
  if (fullest != nullptr && fullest->used >= kFull)
    return absl::StrFormat("%s, %.0f %% used%s", std::string(fullest->resource), 100 * fullest->used, idle);
  if (!idle.empty()) return idle.substr(2);
  if (request.job.final_as_whole || plan.choices.push_every > 1)
    return "the way of gradients and weights, which begins when all of a gradient is there";
  return plan.choices.mode == v1::CONSISTENCY_SYNC
             ? "the wait of workers for each other, and for the bytes of each iteration"
             : "the way of gradients and weights, behind the backward pass";
}

using Change = std::function<void(JobChoices*, ClusterSpec*)>;

std::vector<std::pair<std::string, Change>> ChangesOf(const PlanRequest& request, const Plan& plan) {
  std::vector<std::pair<std::string, Change>> changes;
  const bool async = plan.choices.mode == v1::CONSISTENCY_ASYNC;
  changes.emplace_back(absl::StrCat("--servers ", 2 * plan.cluster.servers),
                       [](JobChoices*, ClusterSpec* cluster) { cluster->servers *= 2; });
  if (plan.cluster.worker_machine.network > 0) {
    changes.emplace_back("a network twice as fast", [](JobChoices*, ClusterSpec* cluster) {
      cluster->worker_machine.network *= 2;
      cluster->server_machine.network *= 2;
    });
  }
  for (const v1::Encoding encoding : kEncodings) {
    if (encoding == plan.choices.encoding) continue;
    changes.emplace_back(absl::StrCat("--encoding ", EncodingName(encoding)),
                         [encoding](JobChoices* choices, ClusterSpec*) { choices->encoding = encoding; });
  }
  if (async && request.job.takes_units && plan.choices.push_every == 1 && plan.choices.encoding != v1::ENCODING_SPARSE)
    changes.emplace_back("--push-every 4", [](JobChoices* choices, ClusterSpec*) { choices->push_every = 4; });
  if (!async) {
    changes.emplace_back("--mode async",
                         [](JobChoices* choices, ClusterSpec*) { choices->mode = v1::CONSISTENCY_ASYNC; });
  }
  if (!plan.cluster.one_machine) {
    changes.emplace_back(absl::StrCat("--workers ", 2 * plan.cluster.workers),
                         [&request](JobChoices* choices, ClusterSpec* cluster) {
                           cluster->workers *= 2;
                           if (choices->mode == v1::CONSISTENCY_SYNC && !request.parts_are_set)
                             choices->parts = PartsFor(request.job.batch, cluster->workers);
                         });
  }
  return changes;
}

std::vector<Alternative> AlternativesTo(const PlanRequest& request, const Plan& plan, const Planner& planner) {
  std::vector<Alternative> alternatives;
  for (const auto& [text, change] : ChangesOf(request, plan)) {
    JobChoices choices = plan.choices;
    ClusterSpec cluster = plan.cluster;
    change(&choices, &cluster);
    const double rate = planner.Simulate(choices, cluster).images_per_second;
    if (rate > kWorthTelling * plan.outcome.images_per_second) alternatives.push_back({text, rate});
  }
  std::sort(alternatives.begin(), alternatives.end(),
            [](const Alternative& a, const Alternative& b) { return a.images_per_second > b.images_per_second; });
  return alternatives;
}

double AloneRate(const PlanRequest& request) {
  ClusterSpec alone = request.cluster;
  alone.workers = alone.servers = 1;
  // With what the machine's processors do for the one worker.
  const JobShape& job = request.job;
  const double threads = 1 + (alone.worker_threads - 1) * job.thread_gain;
  const double speed = alone.worker_machine.speed * std::min(threads, alone.worker_machine.cores);
  return static_cast<double>(job.images()) * speed / job.IterationSeconds();
}

std::string MemoryText(const Plan& plan) {
  const ClusterSpec& cluster = plan.cluster;
  const auto check = [](const char* what, double bytes, const Machine& machine) {
    if (machine.memory_bytes <= 0 || bytes < 0.9 * machine.memory_bytes) return std::string();
    return absl::StrFormat("%s needs %.1f GB, and %s has %.1f GB", what, bytes / 1e9, machine.name,
                           machine.memory_bytes / 1e9);
  };
  if (cluster.one_machine) {
    return check("all of them together", cluster.workers * plan.worker_bytes + cluster.servers * plan.server_bytes,
                 cluster.worker_machine);
  }
  const std::string worker = check("a worker", plan.worker_bytes, cluster.worker_machine);
  return worker.empty() ? check("a server", plan.server_bytes, cluster.server_machine) : worker;
}

absl::Status Check(const PlanRequest& request) {
  const JobChoices& choices = request.choices;
  const bool sync = request.mode_is_set && choices.mode == v1::CONSISTENCY_SYNC;
  if (request.parts_are_set && request.job.batch % choices.parts != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--parts ", choices.parts, " does not divide the batch of ", request.job.batch, " images"));
  }
  if (sync && request.encoding_is_set && choices.encoding == v1::ENCODING_SPARSE)
    return absl::InvalidArgumentError("--encoding topk is not for --mode sync, whose model must not depend on workers");
  if (sync && choices.push_every > 1) return absl::InvalidArgumentError("--push-every is not for --mode sync");
  if (choices.push_every > 1 && !request.job.takes_units)
    return absl::InvalidArgumentError("--push-every is for solvers of type SGD");
  if (choices.push_every > 1 && request.mode_is_set && choices.mode == v1::CONSISTENCY_BOUNDED &&
      choices.delay < choices.push_every) {
    return absl::InvalidArgumentError(
        absl::StrCat("--delay ", choices.delay, " is below --push-every ", choices.push_every));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Plan> MakePlan(const PlanRequest& request) {
  SAMOVAR_RETURN_IF_ERROR(Check(request));
  const Planner planner(request);
  const Candidate chosen = planner.Choose();
  Plan plan;
  plan.choices = chosen.choices;
  plan.cluster = request.cluster;
  plan.cluster.servers = chosen.servers;
  plan.outcome = chosen.outcome;
  plan.alone_images_per_second = AloneRate(request);
  const double rate = plan.outcome.images_per_second;
  plan.efficiency = rate / (plan.alone_images_per_second * plan.cluster.workers);
  plan.workers_without_loss = planner.WithoutLoss(plan.choices.mode);
  v1::Consistency consistency;
  consistency.set_mode(plan.choices.mode);
  consistency.set_push_every(plan.choices.push_every);
  plan.accuracy_warning = TooManyWorkersText(consistency, request.job.max_iter, plan.cluster.workers);
  plan.worker_bytes = WorkerBytes(request.job, plan.choices);
  plan.server_bytes = ServerBytes(request.job, plan.choices, plan.cluster.servers, plan.cluster.workers);
  plan.memory_warning = MemoryText(plan);
  plan.epoch_seconds = static_cast<double>(request.job.records) / rate;
  plan.job_seconds = static_cast<double>(request.job.max_iter * request.job.images()) / rate;
  plan.bottleneck = BottleneckText(request, plan);
  plan.alternatives = AlternativesTo(request, plan, planner);
  return plan;
}

}  // namespace samovar
