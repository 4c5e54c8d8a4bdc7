#include "cli/run/follow_job.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/report/exit_codes.h"
#include "cli/report/standstill.h"
#include "cli/run/earlier_displays.h"
#include "cli/run/job_watcher.h"
#include "cli/run/look_at_standstill.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"

namespace samovar {
namespace {

constexpr absl::Duration kInterval = absl::Milliseconds(250);
// A coordinator that is started again is back by then.
constexpr absl::Duration kPatience = absl::Minutes(1);
// Silence that lasts so long is told.
constexpr absl::Duration kToldAfter = absl::Seconds(5);
// Whether a coordinator is silent is looked at this often.
constexpr absl::Duration kTick = absl::Milliseconds(250);

// Puts the lines that the coordinator does not keep any more before those of the first status that has some.
void AddEarlierDisplays(const JobClient& client, const v1::JobSpec& spec, TrainReporter* reporter,
                        v1::JobStatus* status) {
  const bool from_earlier = spec.resume() || spec.has_initial_model();
  const uint64_t begin = from_earlier ? status->resumed_from() : 0;
  const auto interval = static_cast<uint64_t>(std::max(1, spec.solver().display()));
  const uint64_t end = status->displays(0).iteration();
  if (begin + interval > end) return;
  const absl::StatusOr<Curve> curve = client.History(status->job_id(), begin, /*max_points=*/0);
  EarlierDisplays earlier = DisplaysOf(curve.ok() ? *curve : Curve(), spec, begin, end);
  const std::string missing = MissingText(earlier);
  if (!missing.empty()) reporter->DisplayRemark(missing);
  google::protobuf::RepeatedPtrField<v1::DisplayLine> lines;
  for (v1::DisplayLine& line : earlier.lines) *lines.Add() = std::move(line);
  lines.MergeFrom(status->displays());
  lines.Swap(status->mutable_displays());
}

void TellStandstill(const JobClient& client, const std::string& job_id, TrainReporter* reporter,
                    Standstill* standstill) {
  if (!standstill->IsDue(SteadyNow())) return;
  const absl::StatusOr<std::shared_ptr<grpc::Channel>> channel = client.coordinator()->Get();
  if (!channel.ok()) return;
  if (const auto facts = LookAtStandstill(*channel, job_id, standstill)) reporter->StandsStill(*facts);
}

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
                       const Interruption& interruption, bool* lost_contact, FollowView* view) {
  SAMOVAR_ASSIGN_OR_RETURN(const v1::JobSpec spec, client.GetSpec(job_id));
  SAMOVAR_ASSIGN_OR_RETURN(const v1::JobStatus first, client.Get(job_id));
  reporter->Watching(spec.train_net().name(), first, client.address());
  NewsFilter news;
  Standstill standstill;
  std::string cause;
  bool told = false;
  bool displayed = false;
  JobWatcher watcher(client.coordinator(), job_id, kInterval, waker);
  while (true) {
    if (interruption.signal() != 0) return absl::CancelledError("interrupted");
    if (auto status = watcher.Take()) {
      told = false;
      const bool waits = status->state() == v1::JOB_STATE_QUEUED && !status->cause().empty();
      if (waits && status->cause() != cause) reporter->Waits(status->cause());
      cause = status->cause();
      if (!status->displays().empty() && !std::exchange(displayed, true) && reporter->ShowsDisplays())
        AddEarlierDisplays(client, spec, reporter, &*status);
      standstill.Take(*status, SteadyNow());
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
    if (silence >= kCoordinatorSilence) reporter->Silent(absl::ToDoubleSeconds(silence), client.address());
    const grpc::Status failure = watcher.Failure(kToldAfter);
    if ((!failure.ok() || silence >= kToldAfter) && !std::exchange(told, true)) {
      reporter->Waits(absl::StrCat(
          "waits for the coordinator, ", absl::FormatDuration(kPatience), " at most: ",
          failure.ok() ? absl::StrCat("no news from ", client.address(), " for ", absl::ToInt64Seconds(silence), " s")
                       : client.Explain(failure).message()));
    }
    // A view shows why all the time.
    if (view == nullptr && silence < kCoordinatorSilence) TellStandstill(client, job_id, reporter, &standstill);
    if (view != nullptr && !view->Turn()) return absl::CancelledError("the view was ended");
    waker->Wait(SteadyNow() + kTick, view == nullptr ? -1 : view->InputFd());
  }
}

int FollowJobAsCommand(const JobClient& client, const std::string& job_id, TrainReporter* reporter, Waker* waker,
                       const Interruption& interruption, FollowView* view) {
  bool lost_contact = false;
  const absl::Status status = FollowJob(client, job_id, reporter, waker, interruption, &lost_contact, view);
  if (status.ok()) return kExitOk;
  const bool ended = view != nullptr && absl::IsCancelled(status);
  const std::string text = absl::StrCat("job ", job_id, ": ", status.message());
  // Ends a view: what follows is for the terminal as it was.
  if (interruption.signal() != 0 || ended) {
    reporter->Unwatched();
    PrintWarning(absl::StrCat("no longer watched; job ", job_id, " goes on. To end it: samovar cancel ", job_id, " ",
                              client.address()));
    return interruption.signal() != 0 ? kExitSignal + interruption.signal() : kExitOk;
  }
  reporter->Failed(text);
  PrintError(text);
  return lost_contact ? kExitLostContact : kExitFailed;
}

}  // namespace samovar
