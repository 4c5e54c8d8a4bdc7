#include "common/rpc/deadlines.h"

#include <grpc/support/time.h>

#include "common/rpc/status.h"

namespace samovar {

gpr_timespec DeadlineIn(absl::Duration time) {
  if (time == absl::InfiniteDuration()) return gpr_inf_future(GPR_CLOCK_MONOTONIC);
  const gpr_timespec span = gpr_time_from_nanos(absl::ToInt64Nanoseconds(time), GPR_TIMESPAN);
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), span);
}

void SetDeadline(grpc::ClientContext* context, absl::Duration timeout) { context->set_deadline(DeadlineIn(timeout)); }

absl::Status CallOnceConnected(absl::Duration deadline, absl::Duration patience,
                               absl::FunctionRef<grpc::Status(grpc::ClientContext*)> call) {
  grpc::ClientContext context;
  SetDeadline(&context, deadline);
  const absl::Status status = FromGrpcStatus(call(&context));
  if (!absl::IsUnavailable(status)) return status;
  grpc::ClientContext patient;
  SetDeadline(&patient, patience);
  patient.set_wait_for_ready(true);
  return call(&patient).ok() ? absl::OkStatus() : status;
}

}  // namespace samovar
