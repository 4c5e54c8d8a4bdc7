// TrainRun is one training run on this machine, from the first process to the last.
//
// Thread safety: none; the main thread (local_cluster.h).
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/report/curve.h"
#include "cli/report/standstill.h"
#include "cli/report/train_reporter.h"
#include "cli/run/interruption.h"
#include "cli/run/local_cluster.h"
#include "cli/run/model_writer.h"
#include "cli/run/run_directory.h"
#include "cli/run/waker.h"
#include "common/home/coordinator_channel.h"
#include "common/rpc/rpc_options.h"
#include "common/storage/storage_table.h"
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
    // How this process talks to the servers.
    RpcOptions rpc = {};
    // Where models are written to.
    StorageTable storage = {};
    // How it is recorded.
    RunRecord record;
  };

  // All outlive the run.
  TrainRun(Options options, Waker* waker, const Interruption* interruption, RunDirectory* directory,
           TrainReporter* reporter);

  // Trains, writes the models, and ends all processes. A hang-up has a snapshot taken and its model written. CANCELLED:
  // interrupted by a signal, after which a last snapshot was taken, for half a minute at most, or until the second
  // signal. Any other error: the run failed, or not all models that the solver asks for could be written, and the
  // message says why.
  absl::Status Run();

  // Iteration of the newest snapshot, from which the run could be resumed; 0: there is none.
  uint64_t snapshot() const { return options_.record.snapshot; }
  // Whether it trained to its end and wrote the last model.
  bool finished() const { return options_.record.finished; }

 private:
  // Prints where the dashboard is, as soon as the coordinator says it.
  void TellDashboard();
  absl::Status Submit();
  absl::Status Follow();
  // Takes a new status. Returns true if the job has succeeded.
  absl::StatusOr<bool> Take(const v1::JobStatus& status);
  // Reports a written model, and begins to write the next; a model that could not be written is tried again for a
  // while. `status` is the newest.
  void WriteModels(const v1::JobStatus& status, ModelWriter* writer);
  void TakeWritten(const ModelWriter::Written& written);
  // The servers need not keep them for this run.
  void Acknowledge(const std::set<uint64_t>& iterations);
  // Asks for a snapshot; after the `last` one training goes no further. Its iteration, or why there will be none.
  absl::StatusOr<uint64_t> AskForSnapshot(bool last);
  // Takes hang-ups and interruptions. False: the run is to end now.
  bool GoesOn(const v1::JobStatus& status);
  absl::Status Finish(const v1::JobStatus& status);
  // Says why nothing moves, if that is so. `silence`: since the coordinator has last sent something.
  void TellStandstill(absl::Duration silence);
  // Writes the curve into the run's directory.
  absl::Status WriteHistory();

  Options options_;
  Waker& waker_;
  const Interruption& interruption_;
  RunDirectory& directory_;
  TrainReporter& reporter_;
  NewsFilter news_;
  Standstill standstill_;
  bool silence_told_ = false;
  std::unique_ptr<LocalCluster> cluster_;
  std::shared_ptr<CoordinatorChannel> coordinator_;
  // Grows while the job gets on.
  uint64_t progress_ = 0;
  // Iterations of snapshots whose models have yet to be written, oldest first.
  std::deque<uint64_t> unwritten_;
  // Those whose files are written, or given up.
  std::set<uint64_t> handled_;
  // The models that could not be written, in words.
  std::vector<std::string> missing_;
  // Since when the oldest cannot be written, and when it is tried again.
  std::optional<absl::Time> failing_since_;
  absl::Time retry_at_ = absl::InfiniteFuture();
  bool resumed_told_ = false;
  // The curve of the runs that this one continues, and when the whole is written again.
  Curve earlier_;
  absl::Time history_at_ = absl::InfinitePast();
  int hangups_ = 0;
  // Once interrupted: when it ends in any case, and the snapshot that is waited for.
  std::optional<absl::Time> end_at_;
  std::optional<uint64_t> last_asked_;
};

}  // namespace samovar
