// LocalSteps are the solver steps that a worker makes on its own weights between two pushes, in a job with push_every
// above 1, and their sum, the displacement, which it pushes. ExchangeRequest.iterations defines them, operation by
// operation.
//
// Thread safety: one thread at a time.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "caffe.pb.h"
#include "samovar/v1/parameter.pb.h"

namespace samovar {

class LocalSteps {
 public:
  // Allocates layout.elements() floats. REQUIRES: CheckLearningRate(solver).ok()
  LocalSteps(const caffe::SolverParameter& solver, const v1::ParameterLayout& layout);

  // The weights are new: nothing has been moved yet.
  void Begin();
  // Makes the step of iteration t. `gradients`: of the weights, clipped and averaged. REQUIRES: both have
  // layout.elements() floats
  void Step(uint64_t t, std::span<const float> gradients, std::span<float> weights);
  // The displacement of the weights by all steps since Begin; of statistics, the sum that they added.
  std::span<const float> displacement() const { return displacement_; }

 private:
  void MoveBlob(const v1::ParameterBlob& blob, float rate, std::span<const float> gradients, std::span<float> weights);

  // Without nets.
  const caffe::SolverParameter solver_;
  const v1::ParameterLayout layout_;
  std::vector<float> displacement_;
};

}  // namespace samovar
