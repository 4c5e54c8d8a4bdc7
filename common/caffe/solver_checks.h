// Checks the values of a solver, one by one: each is in its range and has an effect.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "caffe.pb.h"
#include "common/caffe/source_map.h"

namespace samovar {

// Everything that is wrong with the solver's fields other than its nets, a line each: INVALID_ARGUMENT, if anything is.
// Adds a warning for each field that has no effect.
absl::Status CheckSolver(const caffe::SolverParameter& solver, const SourceMap& source_map,
                         std::vector<std::string>* warnings);

// SGD, Nesterov, AdaGrad, RMSProp, AdaDelta or Adam, of a solver that passes CheckSolver, whether it is written as type
// or as the old solver_type.
std::string SolverType(const caffe::SolverParameter& solver);

}  // namespace samovar
