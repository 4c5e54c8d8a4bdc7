#include "cli/run/await_coordinator.h"

#include <iostream>

#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/home/cluster_home.h"

namespace samovar {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(1);
constexpr absl::Duration kTick = absl::Seconds(1);

bool MayPass(const absl::Status& status) {
  return absl::IsNotFound(status) || absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

}  // namespace

absl::Status AwaitCoordinator(const JobClient& client, const std::string& place, Waker* waker,
                              const Interruption& interruption) {
  if (!ClusterHome::IsHome(place)) return absl::OkStatus();
  const absl::Time deadline = SteadyNow() + kPatience;
  bool told = false;
  while (true) {
    const absl::Status status = client.ClusterStatus().status();
    if (interruption.signal() != 0) return absl::CancelledError("interrupted");
    if (!MayPass(status) || SteadyNow() >= deadline) return status;
    if (!told) {
      std::cerr << "waits for a coordinator, " << absl::FormatDuration(kPatience) << " at most: " << status.message()
                << std::endl;
    }
    told = true;
    waker->Wait(SteadyNow() + kTick);
  }
}

}  // namespace samovar
