#include "common/rpc/status.h"

#include <google/protobuf/util/json_util.h>

#include <iostream>
#include <string>

#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/status_table.h"
#include "common/base/status_macros.h"
#include "common/rpc/channel.h"
#include "samovar/v1/status.grpc.pb.h"

namespace samovar {
namespace {

absl::StatusOr<v1::ClusterStatus> Fetch(const std::string& address) {
  const std::unique_ptr<v1::StatusService::Stub> stub = v1::StatusService::NewStub(MakeChannel(address));
  grpc::ClientContext context;
  SetDeadline(&context, kControlDeadline);
  v1::ClusterStatus status;
  SAMOVAR_RETURN_IF_ERROR(FromGrpcStatus(stub->GetStatus(&context, v1::GetStatusRequest(), &status)));
  return status;
}

absl::StatusOr<std::string> ToJson(const v1::ClusterStatus& status) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto printed = google::protobuf::util::MessageToJsonString(status, &json, options);
  if (!printed.ok())
    return absl::InternalError(absl::StrCat("the status cannot be written as JSON: ", printed.ToString()));
  return json;
}

absl::StatusOr<std::string> Describe(const StatusOptions& options) {
  const absl::StatusOr<v1::ClusterStatus> status = Fetch(options.address);
  if (!status.ok()) {
    return Annotate(status.status(),
                    absl::StrCat("no status from ", options.address, " (does a coordinator listen there?)"));
  }
  if (options.json) return ToJson(*status);
  return StatusTable(*status);
}

}  // namespace

int RunStatus(const StatusOptions& options) {
  const absl::StatusOr<std::string> text = Describe(options);
  if (!text.ok()) {
    PrintError(text.status().message());
    return kExitFailed;
  }
  std::cout << *text;
  return kExitOk;
}

}  // namespace samovar
