// The job of a solver as the model of a cluster sees it, measured on this machine.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "cli/plan/job_shape.h"
#include "common/caffe/net_filter.h"
#include "common/storage/storage_table.h"

namespace samovar {

struct JobShapeOptions {
  std::string solver;
  StateChoice state = {};
  // The records' shape, "CxHxW", instead of reading data; empty: data is read.
  std::string shape = {};
  // 0: those of the data, if that is there.
  uint64_t records = 0;
  // Images that one thread of a worker's machine trains in a second; 0: measured.
  double images_per_second = 0;
  // The peak of one thread of the machine that the job's seconds are to be of; 0: of this one.
  double peak_flops = 0;
  StorageTable storage = {};
};

// Builds the net and measures it, which takes seconds; errors as LoadSolver's and Net::Create's.
absl::StatusOr<JobShape> ReadJobShape(const JobShapeOptions& options);

}  // namespace samovar
