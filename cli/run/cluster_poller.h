// ClusterPoller asks a coordinator again and again how its cluster is, on a thread of its own; and, of one job, for the
// curve of its loss and its events.
//
// It asks rather than listens to WatchStatus, which is silent while nothing changes: here silence must be noticed.
// Thread safety: all methods may be called from any thread.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "cli/run/waker.h"
#include "cli/terminal/curve_plot.h"
#include "common/base/clock.h"
#include "common/base/stopper.h"
#include "common/home/coordinator_channel.h"
#include "samovar/v1/job.pb.h"
#include "samovar/v1/status.pb.h"

namespace samovar {

class ClusterPoller {
 public:
  struct Options {
    // Empty: only the cluster.
    std::string job_id;
    absl::Duration interval = absl::Seconds(1);
    // So many points of the curve at most.
    uint32_t max_points = 2000;
  };
  struct News {
    v1::ClusterStatus cluster;
    // Those of the job, if there is one.
    std::vector<CurvePoint> curve;
    std::vector<v1::JobEvent> events;
  };

  // The waker, which outlives the object, is notified of news.
  ClusterPoller(std::shared_ptr<CoordinatorChannel> coordinator, Options options, Waker* waker);
  // Ends the call in progress.
  ~ClusterPoller();
  ClusterPoller(const ClusterPoller&) = delete;
  ClusterPoller& operator=(const ClusterPoller&) = delete;

  // The newest, if it came since the last call.
  std::optional<News> Take();
  // Since the last status came, or since the polling began.
  absl::Duration Silence() const;
  // How the last call for a status ended.
  grpc::Status Failure() const;

 private:
  void Run();
  void Poll();
  // Makes a call that the destructor can end. False: the object ends, and it was not made.
  template <typename Body>
  bool Call(absl::Duration deadline, const Body& body) ABSL_LOCKS_EXCLUDED(mu_);
  void FetchCurve(const std::shared_ptr<grpc::Channel>& channel, const v1::ClusterStatus& cluster);
  void FetchEvents(const std::shared_ptr<grpc::Channel>& channel);

  const std::shared_ptr<CoordinatorChannel> coordinator_;
  const Options options_;
  Waker* const waker_;
  Stopper stopper_;
  mutable absl::Mutex mu_;
  std::optional<News> newest_ ABSL_GUARDED_BY(mu_);
  grpc::Status failure_ ABSL_GUARDED_BY(mu_);
  absl::Time heard_ ABSL_GUARDED_BY(mu_) = SteadyNow();
  // The call in progress; null if there is none.
  grpc::ClientContext* call_ ABSL_GUARDED_BY(mu_) = nullptr;
  // The polling thread's: those that were fetched last, and for how many iterations and when.
  std::vector<CurvePoint> curve_;
  std::vector<v1::JobEvent> events_;
  uint64_t curve_of_ = 0;
  absl::Time curve_at_ = absl::InfinitePast();
  std::thread thread_;
};

}  // namespace samovar
