#include "cli/plan/sync_run.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace samovar {
namespace {

constexpr double kRoundSeconds = 1;

}  // namespace

std::vector<std::vector<PartRange>> DealParts(uint32_t parts, uint32_t workers) {
  const uint32_t share = (parts + workers - 1) / workers;
  std::vector<std::vector<PartRange>> dealt;
  for (uint32_t first = 0; first < parts; first += share) {
    std::vector<uint32_t> own(std::min(share, parts - first));
    std::iota(own.begin(), own.end(), first);
    dealt.push_back(SubtreesOf(own, parts));
  }
  return dealt;
}

SyncRun::SyncRun(const JobShape& job, const JobChoices& choices, const ClusterSpec& spec, const ProcessCosts& costs,
                 FluidSimulation* simulation, ClusterModel* cluster)
    : job_(job),
      choices_(choices),
      costs_(costs),
      simulation_(*simulation),
      cluster_(*cluster),
      groups_(BackwardGroups(job, cluster->chunk_elements())),
      part_images_(static_cast<double>(job.batch) / choices.parts),
      whole_(job.final_as_whole || (choices.parts > 1 && choices.encoding != v1::ENCODING_FLOAT32)),
      meter_(1, simulation, cluster) {
  for (const LayerShape& layer : job.layers) {
    forward_.fixed += layer.forward.fixed;
    forward_.per_image += layer.forward.per_image;
  }
  if (whole_) {
    BackwardGroup all;
    for (const BackwardGroup& group : groups_) {
      all.seconds.fixed += group.seconds.fixed;
      all.seconds.per_image += group.seconds.per_image;
      all.floats += group.floats;
    }
    groups_ = {all};
  }
  std::erase_if(groups_, [](const BackwardGroup& group) { return group.floats <= 0; });
  const std::vector<std::vector<PartRange>> dealt = DealParts(choices.parts, spec.workers);
  // Where one worker stands for several, each has the first one's parts.
  const size_t busy = std::min<size_t>(dealt.size(), cluster->workers());
  for (uint32_t worker = 0; worker < busy; ++worker) {
    workers_.emplace_back(worker, dealt.size() > busy ? dealt.front() : dealt[worker], cluster);
    expected_ += workers_.back().subtrees.size();
  }
  arrived_.resize(groups_.size());
}

void SyncRun::Run() {
  for (uint32_t worker = 0; worker < workers_.size(); ++worker) BeginIteration(worker);
  while (!meter_.Enough() && simulation_.Step()) continue;
}

void SyncRun::BeginIteration(uint32_t worker) {
  workers_[worker].groups_left = groups_.size();
  BeginSubtree(worker, 0);
}

void SyncRun::BeginSubtree(uint32_t number, size_t subtree) {
  const Worker& worker = workers_[number];
  const double jitter = cluster_.Jitter(number, worker.iteration, /*slowest=*/true);
  const uint32_t passes = worker.subtrees[subtree].count * job_.passes;
  double pass = forward_.Of(part_images_);
  double backward = 0;
  for (const BackwardGroup& group : groups_) backward += group.seconds.Of(part_images_);
  // All passes but the last one's backward pass; sums of all parts but one.
  double seconds = (passes * pass + (passes - 1) * backward) * jitter + passes * costs_.worker_pass;
  seconds += (worker.subtrees[subtree].count - 1) * cluster_.AddSeconds() * static_cast<double>(job_.parameters());
  cluster_.Compute(number, seconds, [this, number, subtree] { Backward(number, subtree, 0); });
}

void SyncRun::Backward(uint32_t number, size_t subtree, size_t group) {
  const Worker& worker = workers_[number];
  const double jitter = cluster_.Jitter(number, worker.iteration, /*slowest=*/true);
  cluster_.Compute(number, groups_[group].seconds.Of(part_images_) * jitter, [this, number, subtree, group] {
    Push(number, subtree, group);
    if (group + 1 < groups_.size()) return Backward(number, subtree, group + 1);
    if (subtree + 1 < workers_[number].subtrees.size()) BeginSubtree(number, subtree + 1);
  });
}

void SyncRun::Push(uint32_t number, size_t subtree, size_t group) {
  Worker& worker = workers_[number];
  const bool as_float32 = worker.subtrees[subtree].count > 1;
  worker.transfers.Add(
      {groups_[group].floats, ClusterModel::Way::kPush, as_float32, cluster_.AddSeconds(), [this, group] {
         simulation_.After(cluster_.AnswerSeconds(ClusterModel::Way::kPush) / 2, [this, group] { Arrive(group); });
       }});
}

void SyncRun::Arrive(size_t group) {
  if (++arrived_[group] < expected_) return;
  arrived_[group] = 0;
  cluster_.Apply(groups_[group].floats, cluster_.ApplySeconds(), [this, group] { Pull(group); });
}

void SyncRun::Pull(size_t group) {
  for (uint32_t number = 0; number < workers_.size(); ++number) {
    workers_[number].transfers.Add({groups_[group].floats, ClusterModel::Way::kPull, false, 0, [this, number] {
                                      if (--workers_[number].groups_left > 0) return;
                                      simulation_.After(cluster_.AnswerSeconds(ClusterModel::Way::kPull),
                                                        [this, number] { Finish(number); });
                                    }});
  }
}

void SyncRun::Finish(uint32_t number) {
  ++workers_[number].iteration;
  if (++finished_ == workers_.size()) {
    finished_ = 0;
    meter_.Count(0);
  }
  // Rounds of iterations are leased: the part of a lease's way that one iteration has.
  simulation_.After(costs_.lease * std::min(1.0, job_.IterationSeconds() / kRoundSeconds),
                    [this, number] { BeginIteration(number); });
}

}  // namespace samovar
