#include "cli/plan/async_run.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/base/random.h"

namespace samovar {
namespace {

// A lease is for so long (server/leases/train_leases.h).
constexpr double kLeaseSeconds = 1;
constexpr uint64_t kFailures = 1'000'000;

}  // namespace

AsyncRun::AsyncRun(const JobShape& job, const JobChoices& choices, const ClusterSpec& spec, const ProcessCosts& costs,
                   uint32_t workers, FluidSimulation* simulation, ClusterModel* cluster)
    : job_(job),
      choices_(choices),
      spec_(spec),
      costs_(costs),
      simulation_(*simulation),
      cluster_(*cluster),
      meter_(std::min(workers, cluster->workers()), simulation, cluster),
      groups_(BackwardGroups(job, cluster->chunk_elements())),
      whole_(job.final_as_whole || choices.push_every > 1) {
  for (const LayerShape& layer : job.layers) {
    forward_.fixed += layer.forward.fixed;
    forward_.per_image += layer.forward.per_image;
  }
  if (choices.mode == v1::CONSISTENCY_BOUNDED) {
    const double units = choices.delay / choices.push_every / cluster->represented();
    delay_ = static_cast<uint64_t>(std::max(0.0, std::floor(units)));
  }
  const uint32_t simulated = std::min(workers, cluster->workers());
  for (uint32_t worker = 0; worker < simulated; ++worker) workers_.emplace_back(worker, cluster);
}

void AsyncRun::Run() {
  for (uint32_t worker = 0; worker < workers_.size(); ++worker) {
    if (spec_.worker_fails_after > 0) {
      const double uniform = (Philox(spec_.seed, kFailures + worker, 0)[1] + 0.5) / 4294967296.0;
      workers_[worker].fails_at = -std::log(uniform) * spec_.worker_fails_after;
    }
    // After a while they are spread over a round, though they begin together: here they are from the beginning.
    const double place = (worker + 0.5) / static_cast<double>(workers_.size());
    const double round = job_.IterationSeconds() * choices_.push_every + cluster_.RoundSeconds();
    simulation_.After(place * round, [this, worker] { BeginLease(worker); });
  }
  while (!meter_.Enough() && simulation_.Step()) continue;
}

uint64_t AsyncRun::LeaseLength(const Worker& worker) const {
  if (delay_.has_value() && workers_.size() > 1) return std::max<uint64_t>(1, *delay_ / (workers_.size() - 1));
  if (worker.unit_seconds <= 0) return 4;
  return static_cast<uint64_t>(std::clamp(kLeaseSeconds / worker.unit_seconds, 1.0, 512.0));
}

bool AsyncRun::MayCompute(uint64_t unit) const { return !delay_.has_value() || unit <= watermark_ + *delay_; }

void AsyncRun::BeginLease(uint32_t number) {
  Worker& worker = workers_[number];
  const uint64_t length = LeaseLength(worker);
  worker.unit = next_unit_;
  worker.left = length;
  next_unit_ += length;
  simulation_.After(costs_.lease, [this, number] {
    if (MayCompute(workers_[number].unit)) return PullAndCompute(number);
    waiting_.push_back(number);
  });
}

void AsyncRun::PullAndCompute(uint32_t number) {
  const auto floats = static_cast<double>(job_.parameters());
  workers_[number].transfers.Add({floats, ClusterModel::Way::kPull, false, 0, [this, number] {
                                    simulation_.After(cluster_.AnswerSeconds(ClusterModel::Way::kPull), [this, number] {
                                      workers_[number].pulled = applied_;
                                      Compute(number);
                                    });
                                  }});
}

void AsyncRun::Compute(uint32_t number) {
  Worker& worker = workers_[number];
  worker.begun = simulation_.now();
  --worker.left;
  const double jitter = cluster_.Jitter(number, worker.computed++, delay_.has_value());
  const double pass_costs = costs_.worker_pass;
  if (whole_) {
    const double unit = choices_.push_every * (job_.IterationSeconds() * jitter + job_.passes * pass_costs);
    return cluster_.Compute(number, unit, [this, number] {
      workers_[number].transfers.Add({static_cast<double>(job_.parameters()),
                                      workers_[number].left > 0 ? ClusterModel::Way::kBoth : ClusterModel::Way::kPush,
                                      false, cluster_.ApplySeconds(), [this, number] { AwaitAnswer(number); }});
    });
  }
  cluster_.Compute(number, forward_.Of(job_.batch) * jitter + pass_costs, [this, number] { Backward(number, 0); });
}

void AsyncRun::Backward(uint32_t number, size_t group) {
  const double jitter = cluster_.Jitter(number, workers_[number].computed - 1, delay_.has_value());
  cluster_.Compute(number, groups_[group].seconds.Of(job_.batch) * jitter, [this, number, group] {
    Worker& worker = workers_[number];
    const bool last = group + 1 == groups_.size();
    if (groups_[group].floats > 0) {
      worker.transfers.Add({groups_[group].floats,
                            worker.left > 0 ? ClusterModel::Way::kBoth : ClusterModel::Way::kPush, false,
                            cluster_.ApplySeconds(), [this, number, last] {
                              if (last) AwaitAnswer(number);
                            }});
    }
    if (!last) Backward(number, group + 1);
  });
}

void AsyncRun::AwaitAnswer(uint32_t number) {
  simulation_.After(cluster_.AnswerSeconds(ClusterModel::Way::kBoth), [this, number] { Finish(number); });
}

void AsyncRun::TakeDone(uint64_t unit) {
  beyond_.insert(unit);
  while (!beyond_.empty() && *beyond_.begin() == watermark_) {
    beyond_.erase(beyond_.begin());
    ++watermark_;
  }
  std::vector<uint32_t> still;
  for (const uint32_t number : std::exchange(waiting_, {})) {
    if (MayCompute(workers_[number].unit)) {
      PullAndCompute(number);
    } else {
      still.push_back(number);
    }
  }
  waiting_.insert(waiting_.end(), still.begin(), still.end());
}

void AsyncRun::Finish(uint32_t number) {
  Worker& worker = workers_[number];
  const double between = static_cast<double>(applied_ - worker.pulled);
  meter_.Count((between + 1) * cluster_.represented() - 1);
  ++applied_;
  worker.pulled = applied_;
  worker.unit_seconds = simulation_.now() - worker.begun;
  const uint64_t done = worker.unit++;
  TakeDone(done);
  if (spec_.worker_fails_after > 0 && simulation_.now() > worker.fails_at) {
    const double uniform = (Philox(spec_.seed, kFailures + number, worker.computed)[1] + 0.5) / 4294967296.0;
    worker.fails_at = simulation_.now() + spec_.worker_back_after - std::log(uniform) * spec_.worker_fails_after;
    return simulation_.After(spec_.worker_back_after, [this, number] { BeginLease(number); });
  }
  if (worker.left == 0) return BeginLease(number);
  if (MayCompute(worker.unit)) return Compute(number);
  waiting_.push_back(number);
}

}  // namespace samovar
