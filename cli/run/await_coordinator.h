// Waiting for the coordinator of a cluster that is just being launched, or taken over.
#pragma once

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cli/report/train_reporter.h"
#include "cli/run/job_client.h"
#include "cli/run/waker.h"

namespace samovar {

struct CoordinatorWait {
  // "HOST:PORT", or a cluster's home.
  std::string place;
  // Programs read that the command waits; null: people alone do, on stderr.
  TrainReporter* programs = nullptr;
  // In all, whatever is waited for.
  absl::Duration patience = absl::Minutes(1);
};

// Blocks until the coordinator of a cluster's home answers, for the patience at most, and says that it waits, and for
// what. An address is not waited for: nobody is expected there. `signal` returns the signal that has come, or 0; the
// waker is notified of one. CANCELLED: a signal came. Other errors as JobClient::ClusterStatus's.
absl::Status AwaitCoordinator(const JobClient& client, const CoordinatorWait& wait, Waker* waker,
                              absl::FunctionRef<int()> signal);

}  // namespace samovar
