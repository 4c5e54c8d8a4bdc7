#include <algorithm>
#include <iostream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "cli/choose_reporter.h"
#include "cli/commands.h"
#include "cli/report/exit_codes.h"
#include "cli/report/json_line.h"
#include "cli/report/status_table.h"
#include "cli/run/interruption.h"
#include "cli/run/job_client.h"
#include "cli/run/job_watcher.h"
#include "cli/run/model_export.h"
#include "cli/run/waker.h"
#include "cli/submit_job.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/model/last_snapshot.h"
#include "common/storage/paths.h"
#include "common/storage/write_file.h"

namespace samovar {
namespace {

constexpr absl::Duration kInterval = absl::Milliseconds(100);
// For the iterations that are under way, and for the servers' disks.
constexpr absl::Duration kSnapshotTimeout = absl::Minutes(2);

bool HasSnapshot(const v1::JobStatus& status, uint64_t iteration) {
  return std::find(status.snapshots().begin(), status.snapshots().end(), iteration) != status.snapshots().end();
}

// "lenet.caffemodel" -> "lenet.solverstate", "lenet.caffemodel.h5" -> "lenet.solverstate.h5"
std::string StatePathFor(const std::string& model_path) {
  const bool hdf5 = absl::EndsWith(model_path, ".h5");
  std::string stem = model_path.substr(0, model_path.size() - (hdf5 ? 3 : 0));
  stem = std::string(absl::StripSuffix(stem, ".caffemodel"));
  return absl::StrCat(stem, ".solverstate", hdf5 ? ".h5" : "");
}

// A snapshot that is asked for.
struct Asked {
  uint64_t iteration = 0;
  // Where it is to be exported to; empty: nowhere.
  std::string exported_to;

  bool IsThere(const v1::JobStatus& status) const {
    if (!exported_to.empty()) return status.exported_snapshot() == exported_to;
    return HasSnapshot(status, iteration) || status.state() == v1::JOB_STATE_SUCCEEDED;
  }
  // Why it will not come; empty: it may.
  std::string Error(const v1::JobStatus& status) const {
    if (!exported_to.empty()) return status.failed_export() == iteration ? status.export_error() : "";
    return status.failed_snapshot() == iteration ? status.snapshot_error() : "";
  }
};

// Has a running job make a snapshot, and waits for it. `status` is the job's at the end.
absl::StatusOr<Asked> MakeSnapshot(const JobClient& client, const std::string& job_id,
                                   const std::string& export_directory, Waker* waker, const Interruption& interruption,
                                   v1::JobStatus* status) {
  SAMOVAR_ASSIGN_OR_RETURN(const v1::SnapshotResponse response, client.Snapshot(job_id, export_directory));
  const Asked asked = {response.iteration(), response.exported_to()};
  const uint64_t iteration = asked.iteration;
  JobWatcher watcher(client.coordinator(), job_id, kInterval, waker);
  const absl::Time deadline = SteadyNow() + kSnapshotTimeout;
  while (SteadyNow() < deadline) {
    if (interruption.signal() != 0) return absl::CancelledError("interrupted");
    if (const auto news = watcher.Take()) {
      *status = *news;
      if (asked.IsThere(*status)) return asked;
      if (const std::string error = asked.Error(*status); !error.empty()) {
        return absl::UnavailableError(absl::StrCat("job ", job_id, ": ", error));
      }
      if (status->state() != v1::JOB_STATE_RUNNING) {
        return absl::AbortedError(absl::StrCat("job ", job_id, " ended before the snapshot: ", status->cause()));
      }
    }
    if (const grpc::Status failure = watcher.Failure(absl::Seconds(10)); !failure.ok()) return client.Explain(failure);
    waker->Wait(std::min(deadline, SteadyNow() + absl::Seconds(1)));
  }
  return absl::DeadlineExceededError(absl::StrCat(
      "job ", job_id, " did not come to iteration ", iteration, " in ", absl::FormatDuration(kSnapshotTimeout), " (",
      status->workers(), " workers compute for it); its snapshots are: ", absl::StrJoin(status->snapshots(), " "),
      "; take one with --iteration"));
}

// `solver`: the job's.
absl::StatusOr<uint64_t> ChooseIteration(const ModelExportOptions& options, const caffe::SolverParameter& solver,
                                         const JobClient& client, Waker* waker, const Interruption& interruption,
                                         v1::JobStatus* status) {
  if (options.iteration.has_value()) return *options.iteration;
  if (status->state() == v1::JOB_STATE_RUNNING) {
    SAMOVAR_ASSIGN_OR_RETURN(const Asked asked, MakeSnapshot(client, options.job, "", waker, interruption, status));
    return status->state() == v1::JOB_STATE_SUCCEEDED ? status->max_iter() : asked.iteration;
  }
  if (status->state() == v1::JOB_STATE_SUCCEEDED && WritesLastSnapshot(solver)) return status->max_iter();
  if (status->snapshots().empty() || status->servers().empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("job ", options.job, " is ", StateText(status->state()), " and has no snapshot, hence no model"));
  }
  return *status->snapshots().rbegin();
}

}  // namespace

absl::Status CheckModelOutput(const ModelExportOptions& options) {
  for (const std::string& path : {options.output, StatePathFor(options.output)}) {
    SAMOVAR_RETURN_IF_ERROR(options.storage.CheckWritable(path));
    if (options.force || !options.storage.Exists(path)) continue;
    return absl::AlreadyExistsError(
        absl::StrCat(path, " is there already; choose another --output, or replace it with --force"));
  }
  return absl::OkStatus();
}

absl::Status ExportModelOf(const ModelExportOptions& options, const JobClient& client, Waker* waker,
                           const Interruption& interruption, TrainReporter* reporter) {
  SAMOVAR_ASSIGN_OR_RETURN(const v1::JobSpec spec, client.GetSpec(options.job));
  SAMOVAR_ASSIGN_OR_RETURN(v1::JobStatus status, client.Get(options.job));
  SAMOVAR_ASSIGN_OR_RETURN(const uint64_t iteration,
                           ChooseIteration(options, spec.solver(), client, waker, interruption, &status));
  const absl::Status written =
      ExportModel(spec, status, iteration, options.output, client.dialer(), options.storage, interruption.stopper());
  if (absl::IsNotFound(written) && options.iteration.has_value() && !HasSnapshot(status, iteration)) {
    return absl::NotFoundError(absl::StrCat(
        "job ", options.job, " has no snapshot of iteration ", iteration, "; ",
        status.snapshots().empty() ? "it has none: leave --iteration out, and it makes one while it runs"
                                   : absl::StrCat("its snapshots are: ", absl::StrJoin(status.snapshots(), " "))));
  }
  SAMOVAR_RETURN_IF_ERROR(CannotWrite(options.output, written));
  reporter->ModelWritten(iteration, options.output);
  const std::string state = StatePathFor(options.output);
  SAMOVAR_RETURN_IF_ERROR(
      CannotWrite(state, ExportSolverState(spec, status, iteration, options.output, state, client.dialer(),
                                           options.storage, interruption.stopper())));
  reporter->SolverStateWritten(iteration, state);
  return absl::OkStatus();
}

int RunSnapshotExport(const SnapshotExportOptions& options) {
  Waker waker;
  // Before anything that starts a thread.
  const Interruption interruption(&waker);
  v1::JobStatus status;
  const absl::StatusOr<Asked> asked =
      MakeSnapshot(JobClient(options), options.job, ResolvePath(options.output, ""), &waker, interruption, &status);
  if (!asked.ok()) {
    if (options.json) ChooseReporter(true)->Failed(std::string(asked.status().message()));
    PrintError(asked.status().message());
    return interruption.signal() != 0 ? kExitSignal + interruption.signal() : kExitFailed;
  }
  if (options.json) {
    const JsonLine line =
        JsonLine().Text("event", "exported").Integer("iteration", asked->iteration).Text("path", asked->exported_to);
    std::cout << line.Finish() << std::endl;
  } else {
    std::cout << "snapshot of iteration " << asked->iteration << ": " << asked->exported_to << std::endl;
  }
  return kExitOk;
}

int RunModelExport(const ModelExportOptions& options) {
  Waker waker;
  // Before anything that starts a thread.
  const Interruption interruption(&waker, /*takes_hangups=*/false, [&](int) { options.storage.Stop(); });
  if (const absl::Status free = CheckModelOutput(options); !free.ok()) {
    PrintError(free.message());
    return interruption.signal() != 0 ? kExitSignal + interruption.signal() : kExitUsage;
  }
  const std::unique_ptr<TrainReporter> reporter = ChooseReporter(options.json);
  const absl::Status status = ExportModelOf(options, JobClient(options), &waker, interruption, reporter.get());
  if (status.ok()) return kExitOk;
  reporter->Failed(std::string(status.message()));
  PrintError(status.message());
  return interruption.signal() != 0 ? kExitSignal + interruption.signal() : kExitFailed;
}

}  // namespace samovar
