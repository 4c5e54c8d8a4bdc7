// TensorBoardFeed follows the curve of a job on a thread of its own, and writes it into an event file while it grows.
//
// Thread safety: all methods may be called from any thread.
#pragma once

#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "cli/report/curve_events.h"
#include "cli/report/event_file.h"
#include "common/base/steady_condition.h"
#include "common/home/coordinator_channel.h"

namespace samovar {

class TensorBoardFeed {
 public:
  // Makes the event file in the directory with the first point.
  TensorBoardFeed(std::shared_ptr<CoordinatorChannel> coordinator, std::string job_id, std::string directory);
  // Writes what it has; asks for nothing more.
  ~TensorBoardFeed();
  TensorBoardFeed(const TensorBoardFeed&) = delete;
  TensorBoardFeed& operator=(const TensorBoardFeed&) = delete;

  // Has all points written that there are now; blocks until they are, for some seconds at most. `is_end`: no more will
  // come.
  void Update(bool is_end) ABSL_LOCKS_EXCLUDED(mu_);

  // Why the file could not be written, once; OK: it could, or that was told. A coordinator that does not answer is no
  // error: it is asked again.
  absl::Status TakeError() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mu_);
  // Asks for new points and writes them.
  absl::Status Fetch(bool is_end);
  // Writes those of the newest curve.
  absl::Status Write(bool is_end);

  const std::shared_ptr<CoordinatorChannel> coordinator_;
  const std::string job_id_;
  const std::string directory_;

  // The thread's own.
  CurveEvents events_;
  // As it was fetched last.
  Curve curve_;
  std::unique_ptr<EventFile> file_;

  absl::Mutex mu_;
  SteadyCondition changed_;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  // Updates that were asked for and done.
  int asked_ ABSL_GUARDED_BY(mu_) = 0;
  int done_ ABSL_GUARDED_BY(mu_) = 0;
  bool is_end_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status error_ ABSL_GUARDED_BY(mu_);
  bool told_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace samovar
