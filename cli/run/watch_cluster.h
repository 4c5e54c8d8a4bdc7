// Watching a whole cluster.
#pragma once

#include "cli/run/interruption.h"
#include "cli/run/job_client.h"
#include "cli/run/waker.h"

namespace samovar {

// How it is shown: on the whole terminal, a line for each change, or the status as JSON, an object a line.
enum class ClusterShow { kView, kLines, kJson };

// Until the user ends it; returns the exit code. A coordinator that does not answer for a minute ends it with the code
// of lost contact. A terminal that cannot show a view gets lines.
int WatchCluster(const JobClient& client, ClusterShow show, Waker* waker, const Interruption& interruption);

}  // namespace samovar
