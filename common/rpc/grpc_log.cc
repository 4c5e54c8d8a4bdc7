#include "common/rpc/grpc_log.h"

#include <grpc/support/log.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/open_files.h"
#include "common/telemetry/log.h"
#include "google/protobuf/stubs/logging.h"

namespace samovar {

void RouteGrpcLog() {
  gpr_set_log_function([](gpr_log_func_args* line) {
    const std::string text = absl::StrCat("gRPC: ", line->message);
    line->severity >= GPR_LOG_SEVERITY_ERROR ? LogWarning(text) : LogDebug(text);
  });
  google::protobuf::SetLogHandler([](google::protobuf::LogLevel level, const char*, int, const std::string& message) {
    const std::string text = absl::StrCat("protobuf: ", message);
    level >= google::protobuf::LOGLEVEL_ERROR ? LogWarning(text) : LogDebug(text);
  });
  OnConnectionRefused([](uint64_t limit) {
    LogError(absl::StrCat(
        "connections are closed as they come: ", limit,
        " files can be open at a time, and those that are left are for "
        "this process itself; close idle connections, or raise the limit: ulimit -n, or LimitNOFILE= of the service"));
  });
}

}  // namespace samovar
