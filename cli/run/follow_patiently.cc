#include "cli/run/follow_patiently.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cli/report/exit_codes.h"
#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/stopper.h"

namespace samovar {
namespace {

// A coordinator that is started again is back by then.
constexpr absl::Duration kPatience = absl::Minutes(1);
constexpr absl::Duration kFirstRetry = absl::Milliseconds(200);
constexpr absl::Duration kLastRetry = absl::Seconds(2);

bool IsSilence(const absl::Status& status) { return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status); }

}  // namespace

int FollowPatiently(absl::FunctionRef<absl::Status(bool* heard)> read) {
  Backoff backoff(kFirstRetry, kLastRetry, static_cast<uint64_t>(getpid()));
  absl::Time last_heard = absl::InfinitePast();
  bool told = false;
  // Nobody stops it: a signal ends the process.
  const Stopper pause;
  while (true) {
    bool heard = false;
    const absl::Status status = read(&heard);
    if (status.ok()) return kExitOk;
    if (heard) {
      last_heard = SteadyNow();
      told = false;
      backoff.Reset();
    }
    // A coordinator that has begun anew has not heard of everybody yet.
    const bool may_pass = IsSilence(status) || absl::IsNotFound(status);
    const bool answered_before = last_heard != absl::InfinitePast();
    if (!may_pass || !answered_before || SteadyNow() - last_heard > kPatience) {
      PrintError(status.message());
      return answered_before && IsSilence(status) ? kExitLostContact : kExitFailed;
    }
    if (!told) PrintWarning(absl::StrCat("waits, ", absl::FormatDuration(kPatience), " at most: ", status.message()));
    told = true;
    pause.WaitFor(backoff.Next());
  }
}

}  // namespace samovar
