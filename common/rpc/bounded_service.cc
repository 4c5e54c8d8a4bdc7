#include "common/rpc/bounded_service.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/exceptions.h"
#include "common/rpc/status.h"
#include "common/telemetry/log.h"

namespace samovar {

grpc::Status BoundedService::NotParsed(const std::string& type) {
  return ToGrpcStatus(absl::InvalidArgumentError(absl::StrCat("the request is no ", type)));
}

grpc::Status BoundedService::Caught(absl::FunctionRef<grpc::Status()> call) {
  grpc::Status answer;
  const absl::Status caught = CatchExceptions([&] {
    answer = call();
    return absl::OkStatus();
  });
  if (caught.ok()) return answer;
  LogError(absl::StrCat("a call failed: ", caught.message()));
  return ToGrpcStatus(caught);
}

grpc::Status BoundedService::Serve(const grpc::ByteBuffer& bytes, absl::FunctionRef<grpc::Status()> call) {
  const absl::StatusOr<RequestGate::Pass> pass = gate_.Enter(bytes.Length());
  return pass.ok() ? Caught(call) : ToGrpcStatus(pass.status());
}

}  // namespace samovar
