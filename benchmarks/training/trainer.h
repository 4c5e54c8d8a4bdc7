// Trains a net in this process alone: forward, backward, and the solver's update as a server does it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "benchmarks/support/training_nets.h"
#include "common/base/thread_pool.h"
#include "server/solver/solver_rule.h"
#include "worker/nn/net.h"

namespace samovar {

// Thread safety: one thread at a time; that thread and the pool's do the work.
class Trainer {
 public:
  // The pool outlives it.
  static absl::StatusOr<std::unique_ptr<Trainer>> Create(const TrainingNet& training, int batch_size, ThreadPool* pool);

  Net& net() { return *net_; }

  // OUT_OF_RANGE: the loss is not finite.
  absl::Status Step();

 private:
  void CutUp();

  ThreadPool* pool_ = nullptr;
  std::unique_ptr<Net> net_;
  std::unique_ptr<const SolverRule> rule_;
  std::vector<RuleSegment> segments_;
  std::vector<std::vector<float>> state_;
  uint64_t step_ = 0;
};

// Takes out the Dropout layers that work in place, so that nothing else changes.
void RemoveDropout(caffe::NetParameter* net);

}  // namespace samovar
