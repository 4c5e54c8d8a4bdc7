// The nets whose training is timed, as text.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "caffe.pb.h"
#include "common/base/thread_pool.h"
#include "worker/nn/net.h"
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
// The net that a solver's file trains, which has one data layer, with records of that shape and labels below `classes`.
absl::StatusOr<TrainingNet> TrainingNetOfFile(const std::string& solver_path, const Shape& image, int classes);

// The net for batches of that size, with weights of its fillers, and one batch of synthetic records: pixels uniform in
// [0, 1), labels uniform. The pool outlives it.
absl::StatusOr<std::unique_ptr<Net>> MakeNet(const TrainingNet& training, int batch_size, ThreadPool* pool);

}  // namespace samovar
