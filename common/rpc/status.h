// The one place where absl::Status and grpc::Status meet. Both use google.rpc.Code's numbers.
#pragma once

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace samovar {

// The text is cut at 4 KiB: it travels in an HTTP/2 header.
grpc::Status ToGrpcStatus(const absl::Status& status);

absl::Status FromGrpcStatus(const grpc::Status& status);

// Whether the same call may succeed if it is repeated after a while: the peer or the path was not there, or was too
// busy.
bool IsTransient(const absl::Status& status);

}  // namespace samovar
