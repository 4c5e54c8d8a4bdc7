#include <iostream>
#include <string>

#include "cli/commands.h"
#include "cli/report/exit_codes.h"
#include "cli/report/status_table.h"
#include "cli/run/job_client.h"
#include "common/base/status_macros.h"
#include "common/rpc/proto_json.h"

namespace samovar {
namespace {

absl::StatusOr<std::string> Describe(const StatusOptions& options) {
  SAMOVAR_ASSIGN_OR_RETURN(const v1::ClusterStatus status, JobClient(options).ClusterStatus());
  if (options.json) return ToJson(status);
  return StatusTable(status);
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
