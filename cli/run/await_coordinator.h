// Waiting for the coordinator of a cluster that is just being launched, or taken over.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "cli/run/interruption.h"
#include "cli/run/job_client.h"
#include "cli/run/waker.h"

namespace samovar {

// Blocks until the coordinator of a cluster's home answers, a minute at most, and says on stderr that it waits. An
// address is not waited for: nobody is expected there. CANCELLED: a signal came. Other errors as
// JobClient::ClusterStatus's.
absl::Status AwaitCoordinator(const JobClient& client, const std::string& place, Waker* waker,
                              const Interruption& interruption);

}  // namespace samovar
