#include <unistd.h>

#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/check/check_job.h"
#include "cli/check/mode.h"
#include "cli/choose_reporter.h"
#include "cli/choose_seed.h"
#include "cli/commands.h"
#include "cli/report/exit_codes.h"
#include "cli/report/json_line.h"
#include "cli/report/status_table.h"
#include "cli/run/await_coordinator.h"
#include "cli/run/follow_job.h"
#include "cli/run/interruption.h"
#include "cli/run/job_client.h"
#include "cli/run/live_view.h"
#include "cli/run/resume_check.h"
#include "cli/run/tensorboard_reporter.h"
#include "cli/run/waker.h"
#include "cli/run/watch_cluster.h"
#include "cli/submit_job.h"
#include "common/base/status_macros.h"
#include "common/storage/paths.h"

namespace samovar {
namespace {

// The spec that was submitted under this name before, for a job that goes on from its snapshots; nothing if that is not
// known (any more).
absl::StatusOr<std::optional<v1::JobSpec>> FindEarlier(const JobClient& client, const std::string& job_id) {
  absl::StatusOr<v1::JobSpec> spec = client.GetSpec(job_id);
  if (spec.ok()) return *std::move(spec);
  if (absl::IsNotFound(spec.status())) return std::nullopt;
  return spec.status();
}

// All of the job that the solver does not say. `earlier`: the job that it continues. `registered`: servers of the
// cluster that live.
absl::Status Complete(const SubmitOptions& options, const std::optional<v1::JobSpec>& earlier, int registered,
                      const NetOrigin& train_origin, v1::JobSpec* spec) {
  const ModeChoice mode = earlier.has_value() ? Resumed(options.mode, earlier->consistency()) : options.mode;
  SAMOVAR_RETURN_IF_ERROR(ApplyMode(mode, options.solver, spec, &train_origin, options.choice.storage));
  const std::optional<uint64_t> seed =
      earlier.has_value() && !options.seed.has_value() ? earlier->seed() : options.seed;
  spec->set_seed(ChooseSeed(seed, spec->solver()));
  const int servers =
      options.resume && earlier.has_value() ? static_cast<int>(earlier->servers()) : std::max(1, registered);
  spec->set_servers(static_cast<uint32_t>(options.servers.value_or(servers)));
  spec->set_resume(options.resume);
  spec->set_weight(static_cast<uint32_t>(options.weight));
  spec->set_keep_snapshots(static_cast<uint32_t>(options.keep_snapshots));
  spec->set_export_snapshots(ResolvePath(options.export_snapshots, ""));
  if (options.resume && options.export_snapshots.empty() && earlier.has_value()) {
    spec->set_export_snapshots(earlier->export_snapshots());
  }
  return absl::OkStatus();
}

// Whether the trained nets are in one state, if that of the earlier job is known.
bool SameState(const v1::JobSpec& earlier, const v1::JobSpec& spec) {
  return earlier.train_net().layer_size() == 0 ||
         earlier.train_net().state().SerializeAsString() == spec.train_net().state().SerializeAsString();
}

void Report(const std::string& job_id, const SubmitOptions& options, const v1::JobSpec& spec) {
  if (options.json) {
    std::cout << JsonLine()
                     .Text("event", "submitted")
                     .Text("job_id", job_id)
                     .Text("coordinator", options.coordinator)
                     .Integer("servers", spec.servers())
                     .Integer("seed", spec.seed())
                     .Integer("weight", spec.weight())
                     .Finish()
              << std::endl;
    return;
  }
  if (options.watch) return;
  std::cout << "job " << job_id << " was submitted. To see how it goes: samovar watch " << job_id << " "
            << options.coordinator << std::endl;
}

}  // namespace

absl::Status CheckTargets(const SubmitOptions& options, const CheckedJob& job) {
  // Servers write there, with credentials of their own: here it is known only what nobody can write to.
  for (const std::string& path : {options.export_snapshots, job.snapshot_prefix}) {
    const absl::Status writable =
        SchemeOf(path).empty() ? absl::OkStatus() : options.choice.storage.CheckWritable(absl::StrCat(path, "/x"));
    if (absl::IsInvalidArgument(writable)) return writable;
    if (absl::IsUnavailable(writable) || absl::IsDeadlineExceeded(writable)) {
      // The next one would be waited for as long.
      PrintWarning(absl::StrCat("not known from here whether servers can write there: ", writable.message()));
      return absl::OkStatus();
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> SubmitChecked(const SubmitOptions& options, CheckedJob job, const JobClient& client,
                                          int* code) {
  *code = kExitFailed;
  SAMOVAR_ASSIGN_OR_RETURN(const v1::ClusterStatus cluster, client.ClusterStatus());
  v1::JobSpec& spec = job.spec;
  if (!options.name.empty()) spec.set_job_id(options.name);
  std::optional<v1::JobSpec> earlier = job.restored;
  if (options.resume) {
    SAMOVAR_ASSIGN_OR_RETURN(earlier, FindEarlier(client, spec.job_id()));
    if (!earlier.has_value()) {
      PrintWarning(absl::StrCat("the coordinator has never had a job \"", spec.job_id(),
                                "\", or has lost it: it goes on ",
                                "only if servers hold snapshots of it; without --resume it begins anew"));
    } else if (const std::string other = DescribeOtherSolver(earlier->solver(), job); !other.empty()) {
      PrintWarning(other);
    }
  }
  *code = kExitUsage;
  if (options.resume && earlier.has_value() && !SameState(*earlier, spec)) {
    return absl::FailedPreconditionError(absl::StrCat("job ", spec.job_id(),
                                                      " was submitted with other stages or another level of its net; ",
                                                      "give the --stage and --level that it had"));
  }
  SAMOVAR_RETURN_IF_ERROR(Complete(options, earlier, LiveServers(cluster), job.train_origin, &spec));
  *code = kExitFailed;
  SAMOVAR_ASSIGN_OR_RETURN(const std::string id, client.Submit(spec));
  Report(id, options, spec);
  return id;
}

int RunSubmit(const SubmitOptions& options) {
  Waker waker;
  // Before anything that starts a thread.
  const Interruption interruption(&waker, /*takes_hangups=*/false, [&](int) { options.choice.storage.Stop(); });
  const JobClient client(options);
  const std::unique_ptr<TrainReporter> reporter = WithTensorBoard(
      ChooseReporter(options.json), {options.tensorboard, options.coordinator, options.rpc, options.storage});
  const auto fail = [&](const absl::Status& status, int code) {
    if (options.json) reporter->Failed(std::string(status.message()));
    PrintError(status.message());
    return interruption.signal() != 0 ? kExitSignal + interruption.signal() : code;
  };
  // First, since an error of the job is one in every cluster.
  absl::StatusOr<CheckedJob> job =
      CheckJob(options.solver, {options.weights, options.snapshot, options.resume, options.restore}, options.choice);
  if (!job.ok()) return fail(job.status(), kExitUsage);
  for (const std::string& warning : job->warnings) PrintWarning(warning);
  if (const absl::Status writable = CheckTargets(options, *job); !writable.ok()) return fail(writable, kExitUsage);
  if (const absl::Status writable = MakeTensorBoardDir(options.tensorboard); !writable.ok())
    return fail(writable, kExitUsage);
  const absl::Status answers = AwaitCoordinator(client, {options.coordinator, options.json ? reporter.get() : nullptr},
                                                &waker, [&] { return interruption.signal(); });
  if (!answers.ok()) return fail(answers, kExitFailed);
  int code = kExitFailed;
  const absl::StatusOr<std::string> id = SubmitChecked(options, *std::move(job), client, &code);
  if (!id.ok()) return fail(id.status(), code);
  return options.watch ? FollowJobAsCommand(client, *id, reporter.get(), &waker, interruption) : kExitOk;
}

int RunWatch(const WatchOptions& options) {
  Waker waker;
  // Before anything that starts a thread.
  const Interruption interruption(&waker, /*takes_hangups=*/false, [&](int) { options.storage.Stop(); });
  const JobClient client(options);
  const TensorBoardTarget events = {options.tensorboard, options.coordinator, options.rpc, options.storage};
  const std::unique_ptr<TrainReporter> reporter = WithTensorBoard(ChooseReporter(options.json), events);
  if (const absl::Status writable = MakeTensorBoardDir(options.tensorboard); !writable.ok()) {
    PrintError(writable.message());
    return kExitUsage;
  }
  const absl::Status answers = AwaitCoordinator(client, {options.coordinator, options.json ? reporter.get() : nullptr},
                                                &waker, [&] { return interruption.signal(); });
  if (!answers.ok()) {
    if (options.json) reporter->Failed(std::string(answers.message()));
    PrintError(answers.message());
    return interruption.signal() != 0 ? kExitSignal + interruption.signal() : kExitFailed;
  }
  const bool terminal = isatty(STDOUT_FILENO) != 0;
  if (options.job.empty()) {
    const ClusterShow show = options.json                 ? ClusterShow::kJson
                             : terminal && !options.plain ? ClusterShow::kView
                                                          : ClusterShow::kLines;
    return WatchCluster(client, show, &waker, interruption);
  }
  if (!options.json && !options.plain && terminal) {
    // Before the terminal changes.
    const absl::StatusOr<v1::JobStatus> known = client.Get(options.job);
    const bool goes_on =
        known.ok() && (known->state() == v1::JOB_STATE_QUEUED || known->state() == v1::JOB_STATE_RUNNING);
    if (goes_on) {
      absl::StatusOr<std::unique_ptr<LiveView>> view =
          LiveView::Open(client, options.job, ChooseReporter(/*json=*/false), &waker);
      if (view.ok()) {
        LiveView* const shown = view->get();
        const std::unique_ptr<TrainReporter> both = WithTensorBoard(*std::move(view), events);
        return FollowJobAsCommand(client, options.job, both.get(), &waker, interruption, shown);
      }
    }
  }
  return FollowJobAsCommand(client, options.job, reporter.get(), &waker, interruption);
}

}  // namespace samovar
