// Deadlines of calls, on the steady clock.
#pragma once

#include <grpcpp/grpcpp.h>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"

namespace samovar {

// Deadline of a control-plane call that does no heavy work.
inline constexpr absl::Duration kControlDeadline = absl::Seconds(10);

// The moment that long from now, for calls of gRPC that take one.
gpr_timespec DeadlineIn(absl::Duration time);

// The call ends with DEADLINE_EXCEEDED that long from now.
void SetDeadline(grpc::ClientContext* context, absl::Duration timeout);

// Makes the call, which takes no longer than the deadline. If the peer cannot be reached it is made again, and takes no
// longer than the patience, most of it for a connection: gRPC fails a call at once after a connection has failed, and
// makes another connection only while a call waits for it. Returns the first call's error, which says more than a
// deadline, if the second one fails as well. The call must be safe to repeat.
absl::Status CallOnceConnected(absl::Duration deadline, absl::Duration patience,
                               absl::FunctionRef<grpc::Status(grpc::ClientContext*)> call);

}  // namespace samovar
