// Everything that can be wrong with a job, found before anything is started.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/check/check_start.h"
#include "common/caffe/net_filter.h"
#include "common/caffe/net_origin.h"
#include "common/caffe/solver_bundle.h"
#include "common/storage/storage_table.h"
#include "samovar/v1/job.pb.h"

namespace samovar {

// A job that can be submitted, apart from the fields that the run chooses: `servers`, `seed`, `resume`.
struct CheckedJob {
  v1::JobSpec spec;
  // Where models go: "<snapshot_prefix>_iter_N.caffemodel". Relative to the current directory, as in the solver.
  std::string snapshot_prefix;
  // The first iteration to be trained, and the description of the files that weights come from (check_start.h).
  uint64_t first_iteration = 0;
  std::string start;
  // The job that goes on if it begins from an exported snapshot: as its coordinator had it, without nets.
  std::optional<v1::JobSpec> restored;
  // Where the layers of the net that is trained stand, and fields of the solver.
  NetOrigin train_origin;
  SolverPlaces places;
  // Settings that are accepted and were hardly intended.
  std::vector<std::string> warnings;
};

// Choices about the job that the command line makes, and not the solver.
struct JobChoice {
  // The state (stages, level) of the net that is trained.
  StateChoice state;
  // Each test takes all records, with any test_iter.
  bool test_all = false;
  // Where the solver and all files that it names are.
  StorageTable storage = {};
};

// Reads the solver, opens the data of each of its nets, builds the nets, compares them, and reads the model files that
// training is to begin from. The message of an error names the file, layer or field and says what to do. Takes the time
// and the memory of building the nets; makes and changes nothing.
absl::StatusOr<CheckedJob> CheckJob(const std::string& solver_path, const StartFrom& from = StartFrom(),
                                    const JobChoice& choice = JobChoice());

// A job id from the last part of the path prefix: characters that an id may not have become '-'. Two runs with the same
// prefix have the same id, so that the second finds the snapshots of the first.
std::string JobIdOf(const std::string& snapshot_prefix);

}  // namespace samovar
