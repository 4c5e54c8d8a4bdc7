#include <iostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/check/check_job.h"
#include "cli/commands.h"
#include "cli/describe_job.h"
#include "cli/report/exit_codes.h"
#include "cli/run/model_export.h"

namespace samovar {

int RunCheck(const CheckOptions& options) {
  const absl::StatusOr<CheckedJob> job = CheckJob(options.solver, {}, options.choice);
  if (!job.ok()) {
    PrintError(job.status().message());
    return kExitUsage;
  }
  if (const absl::Status writable =
          CheckSnapshotPrefix(job->snapshot_prefix, job->spec.solver(), options.choice.storage);
      !writable.ok()) {
    PrintError(absl::StrCat(options.solver, ": ", writable.message()));
    return kExitUsage;
  }
  for (const std::string& warning : job->warnings) PrintWarning(warning);
  std::cout << DescribeJob(*job) << options.solver << " is good to train.\n";
  return kExitOk;
}

}  // namespace samovar
