// TrainRun is one training run on this machine, from the first process to the last.
//
// Thread safety: none; the main thread (local_cluster.h).
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/interruption.h"
#include "cli/local_cluster.h"
#include "cli/model_writer.h"
#include "cli/run_directory.h"
#include "cli/train_reporter.h"
#include "cli/waker.h"
#include "samovar/v1/job.pb.h"

namespace samovar {

class TrainRun {
 public:
  struct Options {
    // Complete.
    v1::JobSpec spec;
    std::string snapshot_prefix;
    // As in CheckedJob.
    uint64_t first_iteration = 0;
    std::string start;
    // Its waker and callbacks are set by the run.
    LocalCluster::Options cluster;
    // How it is recorded.
    RunRecord record;
  };

  // All outlive the run.
  TrainRun(Options options, Waker* waker, const Interruption* interruption, RunDirectory* directory,
           TrainReporter* reporter);

  // Trains, writes the models, and ends all processes. CANCELLED: interrupted by a signal; any other error: the run
  // failed, and the message says why.
  absl::Status Run();

  // Iteration of the newest snapshot, from which the run could be resumed; 0: there is none.
  uint64_t snapshot() const { return options_.record.snapshot; }

 private:
  absl::Status Submit();
  absl::Status Follow();
  // Takes a new status. Returns true if the job has succeeded.
  absl::StatusOr<bool> Take(const v1::JobStatus& status);
  // Tells what was written, and has the next model written. An error: the last one could not be. `status` is the newest.
  absl::Status WriteModels(const v1::JobStatus& status, ModelWriter* writer);
  absl::Status Finish(const v1::JobStatus& status);

  Options options_;
  Waker& waker_;
  const Interruption& interruption_;
  RunDirectory& directory_;
  TrainReporter& reporter_;
  NewsFilter news_;
  std::unique_ptr<LocalCluster> cluster_;
  std::shared_ptr<grpc::Channel> channel_;
  // Grows while the job gets on.
  uint64_t progress_ = 0;
  // Iterations of snapshots whose models have yet to be written, oldest first.
  std::deque<uint64_t> unwritten_;
};

}  // namespace samovar
