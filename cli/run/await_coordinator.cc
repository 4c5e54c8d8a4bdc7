#include "cli/run/await_coordinator.h"

#include <atomic>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "cli/run/alarm.h"
#include "common/base/clock.h"
#include "common/home/cluster_home.h"

namespace samovar {
namespace {

constexpr absl::Duration kTick = absl::Seconds(1);
// A storage that has not answered by then is told of.
constexpr absl::Duration kToldAfter = absl::Seconds(2);

bool MayPass(const absl::Status& status) {
  return absl::IsNotFound(status) || absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

}  // namespace

absl::Status AwaitCoordinator(const JobClient& client, const CoordinatorWait& wait, Waker* waker,
                              absl::FunctionRef<int()> signal) {
  if (!ClusterHome::IsHome(wait.place)) return absl::OkStatus();
  const absl::Time begun = SteadyNow(), deadline = begun + wait.patience;
  std::atomic<bool> told = false;
  const auto tell = [&](absl::string_view cause) {
    if (told.exchange(true)) return;
    const std::string text =
        absl::StrCat("waits for a coordinator, ", absl::FormatDuration(wait.patience), " at most: ", cause);
    std::cerr << text << std::endl;
    if (wait.programs != nullptr) wait.programs->Waits(text);
  };
  const Alarm silence(begun + std::min(kToldAfter, wait.patience / 2),
                      [&] { tell(absl::StrCat(wait.place, " has not answered yet")); });
  while (true) {
    const absl::Status status = client.ClusterStatus(deadline).status();
    if (signal() != 0) return absl::CancelledError("interrupted");
    if (!MayPass(status) || SteadyNow() + kTick >= deadline) return status;
    tell(status.message());
    waker->Wait(SteadyNow() + kTick);
  }
}

}  // namespace samovar
