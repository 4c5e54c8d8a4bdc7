// Carries out a lease.
#pragma once

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/stopper.h"
#include "worker/train/assignment.h"
#include "worker/train/coordinator_session.h"
#include "worker/train/outbox.h"

namespace samovar {

// Computes the lease's iterations, or its parts of them, or tests its slice, and puts the results into the outbox as
// they come.
//
// An iteration: its batch (filled in the background during the one before), the weights (which came with the answers to
// the one before, if that was of the same lease), forward, backward while finished gradients leave, the servers'
// answers.
//
// Returns when all is done, or with
//   CANCELLED                        the lease has ended; the step under way is dropped
//   INVALID_ARGUMENT, UNIMPLEMENTED  no other worker would fare better: a bad net; a damaged record; or a loss or a
//                                    gradient is not finite, and the job does not skip such iterations
//   others                           servers or data cannot be reached
//
// Pushes that keep a residual: once `leaving` is stopped, the next push is in full, and the return comes after it, with
// OK. `check_sent`: see to it that no gradient is written while it is being sent (sent_spans.h); INTERNAL if one was.
absl::Status RunLease(const HeldLease& held, const Stopper& leaving, bool check_sent, Assignment* assignment,
                      Outbox* outbox);

// Blocks until all servers of the assignment answer again, `deadline` (by SteadyNow()) has passed, or `leaving` is
// stopped. The heartbeats tell which server is silent meanwhile. Writes over the net's weights, which the next lease
// pulls anew.
void AwaitServers(const HeldLease& held, absl::Time deadline, const Stopper& leaving, Assignment* assignment);

}  // namespace samovar
