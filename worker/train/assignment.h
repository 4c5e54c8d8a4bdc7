// Assignment is all that a worker has of one job while it works for it: the nets, their data, the connection to its
// servers. Nothing in it outlives the job.
//
// Thread safety: one thread at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/thread_pool.h"
#include "common/data/partition_source.h"
#include "common/model/consistency.h"
#include "common/parameters/error_feedback.h"
#include "common/parameters/parameter_client.h"
#include "common/rpc/dialer.h"
#include "common/storage/storage_table.h"
#include "samovar/v1/coordinator.pb.h"
#include "worker/feed/batch_prefetcher.h"
#include "worker/nn/net.h"
#include "worker/train/activity_clock.h"
#include "worker/train/evaluator.h"
#include "worker/train/fed_net.h"
#include "worker/train/gradient_sum.h"
#include "worker/train/local_steps.h"
#include "worker/train/subtree_sum.h"

namespace samovar {

class Assignment {
 public:
  // The resources of the worker for all its jobs.
  struct Means {
    // Both outlive the assignment.
    ThreadPool* pool;
    ActivityClock* clock;
    Dialer dialer;
    // As in ParameterClient::Options.
    uint32_t channels = 0;
    // Opens the partitions of data sets, and outlives the assignment; null: they are read where they lie.
    PartitionSource* partitions = nullptr;
    // Where data sets are, and the files that nets name.
    StorageTable storage = {};
  };

  // INVALID_ARGUMENT, UNIMPLEMENTED: no worker can do this job; the message says why, a net that disagrees with the
  // job's layout for one. Other codes: this one cannot.
  static absl::StatusOr<std::unique_ptr<Assignment>> Create(const v1::GetAssignmentResponse& message,
                                                            const Means& means);

  // The gradients that pushes of a job keep back at this worker.
  struct Kept {
    v1::GetAssignmentResponse assignment;
    // Null: nothing.
    std::unique_ptr<ErrorFeedback> residual;
  };
  // Takes it out of an assignment that is not used any more.
  Kept ReleaseKept() { return {message_, parameters_->ReleaseResidual()}; }
  // Goes on with those parts of it that belong to the same opening of the same job, and to servers that are the same
  // processes: others have lost iterations, which are computed again, whole.
  void AdoptKept(Kept kept);

  // Whether this is still the assignment that the coordinator gives.
  bool IsFor(const v1::GetAssignmentResponse& message) const;

  const v1::JobSpec& spec() const { return message_.spec(); }
  uint64_t epoch() const { return message_.epoch(); }
  // As in ExchangeRequest.
  uint64_t opening() const { return message_.opening(); }
  const std::vector<std::string>& servers() const { return servers_; }
  const Dialer& dialer() const { return means_.dialer; }
  ActivityClock* clock() const { return means_.clock; }
  Net& net() { return *net_; }
  // Passes over the net that a gradient is the mean of: the solver's iter_size.
  uint32_t passes() const { return static_cast<uint32_t>(spec().solver().iter_size()); }
  // Parts of an iteration that others may compute: more than one in sync mode only. The net is built for the records of
  // a part's pass.
  uint32_t parts() const { return std::max(1u, PartsOf(spec().consistency())); }
  bool clipped_by_servers() const { return ServersClip(spec().consistency(), spec().solver()); }
  // The sum of the passes' gradients. Null if there is one pass.
  GradientSum* sum() { return sum_.get(); }
  // The sum of the parts of a subtree. Null if iterations have one part.
  SubtreeSum* subtree_sum() { return subtree_sum_.get(); }
  // Null unless the job has push_every above 1.
  LocalSteps* local_steps() { return local_steps_.get(); }
  BatchPrefetcher& batches() { return *batches_; }
  ParameterClient& parameters() { return *parameters_; }

  // The net for test `number`, with the weights that were frozen as `iteration`: pulled once for the slices of a test
  // that follow each other. Errors of Evaluator and ParameterClient.
  absl::StatusOr<Evaluator*> TestNet(uint32_t number, uint64_t iteration, const WaitLimit& limit);
  // The next test pulls its weights, also if it is of the same iteration.
  void ForgetFrozen() { frozen_.reset(); }

 private:
  Assignment(const v1::GetAssignmentResponse& message, const Means& means)
      : message_(message), servers_(message.servers().begin(), message.servers().end()), means_(means) {}
  absl::Status Open();
  NetMeans MeansOfNets() const { return {means_.pool, means_.partitions, means_.storage}; }

  struct Frozen {
    uint64_t iteration = 0;
    std::vector<float> weights;
  };
  struct Test {
    std::unique_ptr<Evaluator> evaluator;
    // The iteration of the weights that it has.
    std::optional<uint64_t> iteration;
  };

  const v1::GetAssignmentResponse message_;
  const std::vector<std::string> servers_;
  const Means means_;
  std::unique_ptr<Net> net_;
  std::unique_ptr<GradientSum> sum_;
  std::unique_ptr<SubtreeSum> subtree_sum_;
  std::unique_ptr<LocalSteps> local_steps_;
  std::unique_ptr<BatchPrefetcher> batches_;
  std::unique_ptr<ParameterClient> parameters_;
  std::optional<Frozen> frozen_;
  // One a test net; opened when first used.
  std::vector<Test> tests_;
};

}  // namespace samovar
