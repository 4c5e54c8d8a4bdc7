// Submits a job to a cluster, and exports its model: for commands that do more besides.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/check/check_job.h"
#include "cli/options.h"
#include "cli/report/train_reporter.h"
#include "cli/run/interruption.h"
#include "cli/run/job_client.h"
#include "cli/run/waker.h"

namespace samovar {

// INVALID_ARGUMENT: nobody can write to where the job's servers are to write.
absl::Status CheckTargets(const SubmitOptions& options, const CheckedJob& job);

// Submits the job, and tells the user so; its id. On errors `code` is the command's exit code.
absl::StatusOr<std::string> SubmitChecked(const SubmitOptions& options, CheckedJob job, const JobClient& client,
                                          int* code);

// ALREADY_EXISTS: a file that ExportModelOf would write is there, and options.force is not set.
absl::Status CheckModelOutput(const ModelExportOptions& options);

// Writes the model and the solver's state. CANCELLED: a signal came.
absl::Status ExportModelOf(const ModelExportOptions& options, const JobClient& client, Waker* waker,
                           const Interruption& interruption, TrainReporter* reporter);

}  // namespace samovar
