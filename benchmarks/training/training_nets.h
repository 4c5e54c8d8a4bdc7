// The nets whose training is timed, as text.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "caffe.pb.h"
#include "worker/nn/shape.h"

namespace samovar {

struct TrainingNet {
  caffe::NetParameter net;
  caffe::SolverParameter solver;
  // Of one record, and classes.
  Shape image;
  int classes;
};

// "lenet" or "cifar10_quick"; NOT_FOUND for others.
absl::StatusOr<TrainingNet> TrainingNetOf(const std::string& name);

}  // namespace samovar
