#include "common/rpc/grpc_log.h"

#include <grpc/support/log.h>

#include "absl/strings/str_cat.h"
#include "common/telemetry/log.h"

namespace samovar {

void RouteGrpcLog() {
  gpr_set_log_function([](gpr_log_func_args* line) { LogDebug(absl::StrCat("gRPC: ", line->message)); });
}

}  // namespace samovar
