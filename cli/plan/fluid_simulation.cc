#include "cli/plan/fluid_simulation.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace samovar {
namespace {

// Rates that differ by less are fixed together.
constexpr double kSameLevel = 1 + 1e-9;
// An activity with less left, of its amount, has ended: so much may be lost in rounding.
constexpr double kNothing = 1e-9;

}  // namespace

int FluidSimulation::AddResource(double capacity) {
  resources_.push_back({capacity});
  return static_cast<int>(resources_.size()) - 1;
}

void FluidSimulation::Start(Activity activity, Done done) {
  if (activity.amount <= 0) return After(0, std::move(done));
  running_.push_back({std::move(activity), std::move(done)});
  changed_ = true;
}

void FluidSimulation::After(double seconds, Done done) {
  timers_.push({now_ + seconds, timers_begun_++, std::move(done)});
}

double FluidSimulation::LowestLevel() const {
  double level = std::numeric_limits<double>::infinity();
  for (const Resource& resource : resources_) {
    if (resource.open > 0) level = std::min(level, std::max(0.0, resource.left) / resource.open);
  }
  for (const Running& running : running_) {
    if (running.open) level = std::min(level, running.activity.limit / running.activity.share);
  }
  return level;
}

void FluidSimulation::Close(Running* running, double rate) {
  running->open = false;
  running->rate = rate;
  for (const Use& use : running->activity.uses) {
    Resource& resource = resources_[static_cast<size_t>(use.resource)];
    resource.left -= use.per_unit * rate;
    resource.open -= use.per_unit * running->activity.share;
  }
}

// Progressive filling: the level rises for all; whoever meets a full resource, or its limit, keeps its rate.
void FluidSimulation::ShareOut() {
  for (Resource& resource : resources_) {
    resource.left = resource.capacity;
    resource.open = 0;
  }
  for (Running& running : running_) {
    running.open = true;
    for (const Use& use : running.activity.uses)
      resources_[static_cast<size_t>(use.resource)].open += use.per_unit * running.activity.share;
  }
  for (size_t open = running_.size(); open > 0;) {
    const double level = LowestLevel();
    const double below = level * kSameLevel;
    std::vector<bool> full(resources_.size());
    for (size_t i = 0; i < resources_.size(); ++i)
      full[i] = resources_[i].open > 0 && std::max(0.0, resources_[i].left) <= below * resources_[i].open;
    for (Running& running : running_) {
      if (!running.open) continue;
      const bool meets = running.activity.limit <= below * running.activity.share ||
                         std::any_of(running.activity.uses.begin(), running.activity.uses.end(), [&](const Use& use) {
                           return use.per_unit > 0 && full[static_cast<size_t>(use.resource)];
                         });
      if (!meets) continue;
      Close(&running, std::min(running.activity.limit, level * running.activity.share));
      --open;
    }
    // Sums of which all terms were taken are not 0 after rounding.
    for (size_t i = 0; i < resources_.size(); ++i) {
      if (full[i]) resources_[i].open = 0;
    }
  }
  changed_ = false;
}

void FluidSimulation::Advance(double seconds) {
  now_ += seconds;
  for (Running& running : running_) {
    running.activity.amount -= running.rate * seconds;
    for (const Use& use : running.activity.uses)
      resources_[static_cast<size_t>(use.resource)].passed += use.per_unit * running.rate * seconds;
  }
}

bool FluidSimulation::Step() {
  if (changed_) ShareOut();
  double wait = timers_.empty() ? std::numeric_limits<double>::infinity() : timers_.top().time - now_;
  size_t first = running_.size();
  for (size_t i = 0; i < running_.size(); ++i) {
    const double ends =
        running_[i].rate > 0 ? running_[i].activity.amount / running_[i].rate : std::numeric_limits<double>::infinity();
    if (ends < wait * (1 - kNothing)) {
      wait = ends;
      first = i;
    }
  }
  if (wait == std::numeric_limits<double>::infinity()) return false;
  Advance(std::max(0.0, wait));
  Done done;
  if (first < running_.size()) {
    done = std::move(running_[first].done);
    running_.erase(running_.begin() + static_cast<ptrdiff_t>(first));
    changed_ = true;
  } else {
    done = timers_.top().done;
    timers_.pop();
  }
  done();
  return true;
}

}  // namespace samovar
