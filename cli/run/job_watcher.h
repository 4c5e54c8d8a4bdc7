// JobWatcher follows a job's status on a thread of its own.
//
// Thread safety: all methods may be called from any thread.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "cli/run/waker.h"
#include "common/base/clock.h"
#include "common/base/stopper.h"
#include "common/home/coordinator_channel.h"
#include "samovar/v1/job.grpc.pb.h"

namespace samovar {

class JobWatcher {
 public:
  // Watches the job at the coordinator, at most every `interval`. The waker, which outlives the object, is notified of
  // each new status.
  JobWatcher(std::shared_ptr<CoordinatorChannel> coordinator, std::string job_id, absl::Duration interval,
             Waker* waker);
  // Ends the call.
  ~JobWatcher();
  JobWatcher(const JobWatcher&) = delete;
  JobWatcher& operator=(const JobWatcher&) = delete;

  // The newest status, if it came since the last call. It holds the whole history, so that none before it is missed;
  // its displays are all that came since the last call.
  std::optional<v1::JobStatus> Take();

  // Since the last status came, or since the watch began.
  absl::Duration Silence() const;

  // Why no status came, if none has come for so long since a call failed, or if calling again will not help: the job is
  // not known. OK otherwise.
  grpc::Status Failure(absl::Duration patience) const;

 private:
  void Run();
  void TakeStatusLocked(v1::JobStatus status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // One call, until it ends. Returns true if there is nothing more to come.
  bool WatchOnce();
  // This process had no memory for a call.
  void NoteFailure();
  // A call has ended, or could not be made, and is to be made again. Returns whether that will not help.
  bool TakeFailure(const grpc::Status& failure) ABSL_LOCKS_EXCLUDED(mu_);

  const std::shared_ptr<CoordinatorChannel> coordinator_;
  const std::string job_id_;
  const absl::Duration interval_;
  Waker* const waker_;
  Stopper stopper_;
  mutable absl::Mutex mu_;
  std::optional<v1::JobStatus> newest_ ABSL_GUARDED_BY(mu_);
  // Iteration from which on no line of the display has come.
  uint64_t first_display_ ABSL_GUARDED_BY(mu_) = 0;
  // How the last call ended, and since when none has brought a status; OK and never if the last one did.
  grpc::Status failure_ ABSL_GUARDED_BY(mu_);
  absl::Time failing_since_ ABSL_GUARDED_BY(mu_) = absl::InfiniteFuture();
  // When the last status came.
  absl::Time heard_ ABSL_GUARDED_BY(mu_) = SteadyNow();
  // The call in progress, to be cancelled by the destructor; null if there is none.
  grpc::ClientContext* call_ ABSL_GUARDED_BY(mu_) = nullptr;
  std::thread thread_;
};

}  // namespace samovar
