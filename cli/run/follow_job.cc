#include "cli/run/follow_job.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/report/exit_codes.h"
#include "cli/run/job_watcher.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"

namespace samovar {
namespace {

constexpr absl::Duration kInterval = absl::Milliseconds(250);
// A coordinator that is started again is back by then.
constexpr absl::Duration kPatience = absl::Minutes(1);
// A coordinator sends something every second: figures that are older than this are not shown as current.
constexpr absl::Duration kSilence = absl::Milliseconds(2500);
// Silence that lasts so long is told.
constexpr absl::Duration kToldAfter = absl::Seconds(5);
// Whether a coordinator is silent is looked at this often.
constexpr absl::Duration kTick = absl::Milliseconds(250);

}  // namespace

absl::StatusOr<bool> HasSucceeded(const v1::JobStatus& status) {
  switch (status.state()) {
    case v1::JOB_STATE_SUCCEEDED:
      return true;
    case v1::JOB_STATE_FAILED:
      return absl::AbortedError(status.cause());
    case v1::JOB_STATE_CANCELLED:
      return absl::AbortedError(absl::StrCat("the job was cancelled: ", status.cause()));
    default:
      return false;
  }
}

absl::Status FollowJob(const JobClient& client, const std::string& job_id, TrainReporter* reporter, Waker* waker,
                       const Interruption& interruption, bool* lost_contact) {
  SAMOVAR_ASSIGN_OR_RETURN(const v1::JobSpec spec, client.GetSpec(job_id));
  SAMOVAR_ASSIGN_OR_RETURN(const v1::JobStatus first, client.Get(job_id));
  reporter->Watching(spec.train_net().name(), first, client.address());
  NewsFilter news;
  std::string cause;
  bool told = false;
  JobWatcher watcher(client.coordinator(), job_id, kInterval, waker);
  while (true) {
    if (interruption.signal() != 0) return absl::CancelledError("interrupted");
    if (const auto status = watcher.Take()) {
      told = false;
      const bool waits = status->state() == v1::JOB_STATE_QUEUED && !status->cause().empty();
      if (waits && status->cause() != cause) reporter->Waits(status->cause());
      cause = status->cause();
      reporter->Progress(*status, news.Take(*status));
      SAMOVAR_ASSIGN_OR_RETURN(const bool succeeded, HasSucceeded(*status));
      if (succeeded) reporter->Succeeded(*status);
      if (succeeded) return absl::OkStatus();
    }
    if (const grpc::Status failure = watcher.Failure(kPatience); !failure.ok()) {
      // The watcher may wait for the home's storage, which has patience of its own.
      client.GiveUp();
      if (lost_contact != nullptr) *lost_contact = failure.error_code() != grpc::StatusCode::NOT_FOUND;
      return client.Explain(failure);
    }
    const absl::Duration silence = watcher.Silence();
    if (silence >= kSilence) reporter->Silent(absl::ToDoubleSeconds(silence), client.address());
    const grpc::Status failure = watcher.Failure(kToldAfter);
    if ((!failure.ok() || silence >= kToldAfter) && !std::exchange(told, true)) {
      reporter->Waits(absl::StrCat(
          "waits for the coordinator, ", absl::FormatDuration(kPatience), " at most: ",
          failure.ok() ? absl::StrCat("no news from ", client.address(), " for ", absl::ToInt64Seconds(silence), " s")
                       : client.Explain(failure).message()));
    }
    waker->Wait(SteadyNow() + kTick);
  }
}

int FollowJobAsCommand(const JobClient& client, const std::string& job_id, TrainReporter* reporter, Waker* waker,
                       const Interruption& interruption) {
  bool lost_contact = false;
  const absl::Status status = FollowJob(client, job_id, reporter, waker, interruption, &lost_contact);
  if (status.ok()) return kExitOk;
  if (interruption.signal() != 0) {
    PrintWarning(absl::StrCat("no longer watched; job ", job_id, " goes on. To end it: samovar cancel ", job_id, " ",
                              client.address()));
    return kExitSignal + interruption.signal();
  }
  const std::string text = absl::StrCat("job ", job_id, ": ", status.message());
  reporter->Failed(text);
  PrintError(text);
  return lost_contact ? kExitLostContact : kExitFailed;
}

}  // namespace samovar
