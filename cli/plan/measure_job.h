// Measures a net on this machine: how long each layer computes, by passes of two sizes.
#pragma once

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "cli/plan/job_shape.h"
#include "worker/nn/net.h"

namespace samovar {

// The net for so many images, with weights and inputs; one thread computes it.
using NetMaker = std::function<absl::StatusOr<std::unique_ptr<Net>>(int images)>;

// The layers of a net with batches of `batch` images, with seconds of one thread of this machine. Passes are of as many
// images as this machine computes in about a second, of a batch at most; it takes several seconds.
absl::StatusOr<JobShape> MeasureJob(const NetMaker& make, int batch);

// All seconds, times `factor`.
void ScaleSeconds(double factor, JobShape* job);

}  // namespace samovar
