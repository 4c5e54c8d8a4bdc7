// A reporter that also has the curve of what it reports written for TensorBoard.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "cli/report/train_reporter.h"
#include "common/rpc/rpc_options.h"
#include "common/storage/storage_table.h"

namespace samovar {

struct TensorBoardTarget {
  // A directory of this machine; empty: nothing is written.
  std::string directory;
  // Where the coordinator is of a job that is watched: as ClusterOptions. A run of this machine says it itself.
  std::string place = "";
  RpcOptions rpc = {};
  StorageTable storage = {};
};

// Makes the directory if it is missing, so that event files can be made there. The error names the flag. Empty: does
// nothing.
absl::Status MakeTensorBoardDir(const std::string& directory);

// The reporter itself, if nothing is to be written.
std::unique_ptr<TrainReporter> WithTensorBoard(std::unique_ptr<TrainReporter> reporter, TensorBoardTarget target);

}  // namespace samovar
