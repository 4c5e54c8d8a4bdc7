// Following a job of a cluster from its queue to its end.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/report/train_reporter.h"
#include "cli/run/interruption.h"
#include "cli/run/job_client.h"
#include "cli/run/waker.h"
#include "samovar/v1/job.pb.h"

namespace samovar {

// A coordinator sends something every second: figures that are older than this are not shown as current.
inline constexpr absl::Duration kCoordinatorSilence = absl::Milliseconds(2500);

// Whether the job has succeeded; false: it has not ended. Errors say why it did not.
absl::StatusOr<bool> HasSucceeded(const v1::JobStatus& status);

// A view of the terminal that is looked after while a job is followed.
class FollowView {
 public:
  virtual ~FollowView() = default;
  // Where keys come from.
  virtual int InputFd() const = 0;
  // Takes keys and draws, a few times a second. False: the user wants to see no more.
  virtual bool Turn() = 0;
};

// Reports how the job goes, and blocks until it has ended. OK: it has succeeded. CANCELLED: a signal came, or the user
// has ended the view, which may be null; the job goes on. Other errors: it did not succeed, is not known, or its
// coordinator has not answered for a minute; one that is started again meanwhile is no error. `lost_contact`, which may
// be null, is set to whether the coordinator no longer answers.
absl::Status FollowJob(const JobClient& client, const std::string& job_id, TrainReporter* reporter, Waker* waker,
                       const Interruption& interruption, bool* lost_contact = nullptr, FollowView* view = nullptr);

// The same for a command: prints the result for the user at the end, and returns the exit code.
int FollowJobAsCommand(const JobClient& client, const std::string& job_id, TrainReporter* reporter, Waker* waker,
                       const Interruption& interruption, FollowView* view = nullptr);

}  // namespace samovar
