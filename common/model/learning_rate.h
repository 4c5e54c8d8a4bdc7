// Caffe's learning-rate policies, as pure functions of the iteration: each process that applies update t uses the same
// rate.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "caffe.pb.h"

namespace samovar {

// Whether LearningRate gives a finite rate for every iteration below max_iter. INVALID_ARGUMENT names the solver's
// field and says what it should be: unknown or missing lr_policy, a field the policy needs is missing or out of range,
// step values that do not ascend.
absl::Status CheckLearningRate(const caffe::SolverParameter& solver);

// The rate of iteration t, before a blob's lr_mult:
//   fixed      base_lr
//   step       base_lr * gamma^floor(t / stepsize)
//   exp        base_lr * gamma^t
//   inv        base_lr * (1 + gamma * t)^(-power)
//   multistep  base_lr * gamma^s, s = how many step values are <= t
//   poly       base_lr * (1 - t / max_iter)^power, 0 from max_iter on
//   sigmoid    base_lr / (1 + exp(-gamma * (t - stepsize)))
// Computed in double from the solver's float fields and rounded once to float, the type of Caffe's own variable. Caffe
// does the same for fixed, step, exp and multistep; for the others it computes in float, which may differ in the last
// digits.
// REQUIRES: CheckLearningRate(solver).ok()
double LearningRate(const caffe::SolverParameter& solver, uint64_t t);

}  // namespace samovar
