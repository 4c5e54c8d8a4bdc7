#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/check/check_job.h"
#include "cli/choose_reporter.h"
#include "cli/choose_seed.h"
#include "cli/commands.h"
#include "cli/describe_job.h"
#include "cli/doctor/check_network.h"
#include "cli/report/exit_codes.h"
#include "cli/run/interruption.h"
#include "cli/run/model_export.h"
#include "cli/run/resume_check.h"
#include "cli/run/run_directory.h"
#include "cli/run/tensorboard_reporter.h"
#include "cli/run/train_run.h"
#include "cli/run/waker.h"
#include "common/base/loader.h"
#include "common/base/status_macros.h"
#include "common/model/consistency.h"
#include "common/model/job_data.h"
#include "common/storage/paths.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxApplyThreads = 4;

// Servers and workers are beside this program.
absl::StatusOr<std::string> ProgramDir() {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string self, ProgramPath());
  const std::string directory = fs::path(self).parent_path().string();
  for (const char* program : {"samovar-server", "samovar-worker"}) {
    const std::string path = absl::StrCat(directory, "/", program);
    if (access(path.c_str(), X_OK) != 0) {
      return absl::NotFoundError(
          absl::StrCat("there is no ", program, " in ", directory, "; install all three programs together"));
    }
  }
  return directory;
}

// Half of the processors, shared by the servers.
int ChooseApplyThreads(int servers) {
  const int processors = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  return std::clamp(processors / 2 / servers, 1, kMaxApplyThreads);
}

absl::Status MakeModelDir(const std::string& snapshot_prefix) {
  const fs::path parent = fs::path(snapshot_prefix).parent_path();
  if (parent.empty() || !SchemeOf(snapshot_prefix).empty()) return absl::OkStatus();
  std::error_code error;
  fs::create_directories(parent, error);
  if (!error && access(parent.c_str(), W_OK) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("cannot write models to ", parent.string(),
                   " (snapshot_prefix of the solver): ", error ? error.message() : "it is not writable"));
}

absl::Status MakeExportDir(const std::string& path) {
  if (!SchemeOf(path).empty()) return absl::OkStatus();
  std::error_code error;
  fs::create_directories(path, error);
  if (!error && access(path.c_str(), W_OK | X_OK) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "cannot export snapshots to ", path, " (--export-snapshots): ", error ? error.message() : "it is not writable"));
}

bool HasDashboard(const TrainOptions& options) { return !options.dashboard.empty() && options.dashboard != "none"; }

// A run that was checked, and its directory, which is locked.
struct Prepared {
  TrainRun::Options run;
  std::unique_ptr<RunDirectory> directory;
};

absl::StatusOr<std::unique_ptr<RunDirectory>> OpenDirectory(const std::string& path, const TrainOptions& options) {
  std::error_code error;
  if (options.resume && !fs::exists(path, error)) {
    return absl::NotFoundError(
        absl::StrCat("there is nothing to resume: ", path, " does not exist; start without --resume"));
  }
  return RunDirectory::Open(path);
}

// Another state may be another net.
absl::Status CheckSameState(const RunRecord& before, const std::string& flags) {
  if (before.state_flags == flags) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the run that is to be resumed had ",
                   before.state_flags.empty() ? "neither --stage nor --level" : before.state_flags.substr(1),
                   "; resume it so, or begin anew with --restart"));
}

absl::StatusOr<Prepared> Prepare(const TrainOptions& options) {
  SAMOVAR_ASSIGN_OR_RETURN(
      CheckedJob job,
      CheckJob(options.solver, {options.weights, options.snapshot, options.resume, options.restore}, options.choice));
  const StorageTable& storage = options.choice.storage;
  SAMOVAR_RETURN_IF_ERROR(
      Annotate(CheckSnapshotPrefix(job.snapshot_prefix, job.spec.solver(), storage), options.solver));
  if (!options.export_snapshots.empty()) {
    SAMOVAR_RETURN_IF_ERROR(
        Annotate(storage.CheckWritable(absl::StrCat(options.export_snapshots, "/manifest")), "--export-snapshots"));
  }
  if (HasDashboard(options)) SAMOVAR_RETURN_IF_ERROR(Annotate(CheckListens(options.dashboard), "--dashboard"));
  SAMOVAR_RETURN_IF_ERROR(MakeTensorBoardDir(options.tensorboard));
  SAMOVAR_ASSIGN_OR_RETURN(std::string program_dir, ProgramDir());
  // The mode of a run that is resumed comes from its directory.
  if (!options.resume) {
    const ModeChoice mode =
        job.restored.has_value() ? Resumed(options.mode, job.restored->consistency()) : options.mode;
    SAMOVAR_RETURN_IF_ERROR(ApplyMode(mode, options.solver, &job.spec, &job.train_origin, storage));
  }
  for (const std::string& warning : job.warnings) PrintWarning(warning);

  const std::string state_dir = options.state.empty() ? absl::StrCat(job.snapshot_prefix, "_state") : options.state;
  Prepared prepared;
  SAMOVAR_ASSIGN_OR_RETURN(prepared.directory, OpenDirectory(state_dir, options));
  SAMOVAR_ASSIGN_OR_RETURN(const RunStart start,
                           ChooseStart(prepared.directory->record(), options.servers, options.resume, options.restart));
  const std::string state_flags = StateFlags(options.choice.state);
  if (start == RunStart::kResume) {
    SAMOVAR_RETURN_IF_ERROR(CheckSameState(*prepared.directory->record(), state_flags));
    SAMOVAR_ASSIGN_OR_RETURN(const auto net, prepared.directory->ReadNet());
    SAMOVAR_RETURN_IF_ERROR(CheckResumes(*prepared.directory->record(), net, job));
    SAMOVAR_ASSIGN_OR_RETURN(const v1::JobSpec before, prepared.directory->ReadData());
    // Damaged records may have been mended since, so that this is no mistake by itself.
    for (const std::string& other : DescribeOtherData(before, job.spec)) {
      PrintWarning(absl::StrCat("goes on with other data: ", other));
    }
    const std::string other_solver = DescribeOtherSolver(before.solver(), job);
    if (!other_solver.empty()) PrintWarning(other_solver);
    const ModeChoice mode = Resumed(options.mode, prepared.directory->record()->consistency);
    SAMOVAR_RETURN_IF_ERROR(ApplyMode(mode, options.solver, &job.spec, &job.train_origin, storage));
  }
  SAMOVAR_RETURN_IF_ERROR(MakeModelDir(job.snapshot_prefix));

  TrainRun::Options& run = prepared.run;
  if (start == RunStart::kResume) run.record = *prepared.directory->record();
  run.record.solver = options.solver;
  run.record.servers = options.servers;
  std::optional<uint64_t> seed = options.seed;
  if (!seed.has_value() && start == RunStart::kResume) seed = run.record.seed;
  if (!seed.has_value() && job.restored.has_value()) seed = job.restored->seed();
  run.record.seed = ChooseSeed(seed, job.spec.solver());
  run.record.consistency = job.spec.consistency();
  run.record.state_flags = state_flags;
  run.record.solver_type = job.spec.solver().type();
  run.record.finished = false;
  // Before anything of the earlier run is removed.
  if (!options.export_snapshots.empty()) SAMOVAR_RETURN_IF_ERROR(MakeExportDir(options.export_snapshots));
  if (start == RunStart::kFresh) SAMOVAR_RETURN_IF_ERROR(prepared.directory->Clear());
  RemoveAbandonedModels(job.snapshot_prefix);
  SAMOVAR_RETURN_IF_ERROR(prepared.directory->SaveNet(job.spec.layout()));
  SAMOVAR_RETURN_IF_ERROR(prepared.directory->SaveData(job.spec));
  SAMOVAR_RETURN_IF_ERROR(prepared.directory->MakeLogs());

  run.spec = std::move(job.spec);
  run.spec.set_servers(static_cast<uint32_t>(options.servers));
  run.spec.set_seed(run.record.seed);
  run.spec.set_resume(start == RunStart::kResume);
  run.spec.set_fetches_snapshots(true);
  run.spec.set_export_snapshots(ResolvePath(options.export_snapshots, ""));
  run.rpc = options.rpc;
  run.storage = options.choice.storage;
  run.first_iteration = job.first_iteration;
  run.start = std::move(job.start);
  run.snapshot_prefix = std::move(job.snapshot_prefix);
  run.cluster.program_dir = std::move(program_dir);
  run.cluster.state_dir = state_dir;
  run.cluster.servers = options.servers;
  run.cluster.workers = options.workers;
  run.cluster.threads = options.threads;
  run.cluster.channels = options.channels;
  run.cluster.apply_threads = ChooseApplyThreads(options.servers);
  run.cluster.log_level = options.log_level;
  if (HasDashboard(options)) run.cluster.dashboard = options.dashboard;
  return prepared;
}

RunFacts FactsOf(const TrainRun::Options& run) {
  RunFacts facts;
  facts.net = run.spec.train_net().name();
  facts.job_id = run.spec.job_id();
  facts.max_iter = static_cast<uint64_t>(run.spec.solver().max_iter());
  facts.servers = run.cluster.servers;
  facts.workers = run.cluster.workers;
  facts.threads = run.cluster.threads;
  facts.mode = ConsistencyText(run.spec.consistency());
  facts.seed = run.spec.seed();
  facts.resumes = run.spec.resume();
  facts.resumed_from = run.spec.resume() ? run.record.snapshot : run.first_iteration;
  for (int net = 0; net < run.spec.test_nets_size(); ++net) facts.tests.push_back(TestedText(run.spec, net));
  facts.start = run.start;
  facts.state_dir = run.cluster.state_dir;
  return facts;
}

// `failed`: the run was not interrupted. `resumed_from`: the snapshot that it went on from; 0: none.
std::string ResumeHint(const TrainOptions& options, bool failed, uint64_t resumed_from, uint64_t snapshot) {
  if (snapshot == 0) return "";
  if (failed && snapshot == resumed_from) {
    return absl::StrCat("--resume went no further than the snapshot of iteration ", snapshot,
                        ", and will not before the cause is mended; --restart begins anew, without it");
  }
  std::string hint = absl::StrCat("continue from the snapshot of iteration ", snapshot,
                                  " with: samovar train --solver ", options.solver, " --resume");
  if (options.servers != TrainOptions().servers) absl::StrAppend(&hint, " --servers ", options.servers);
  if (!options.state.empty()) absl::StrAppend(&hint, " --state ", options.state);
  if (!options.tensorboard.empty()) absl::StrAppend(&hint, " --tensorboard ", options.tensorboard);
  absl::StrAppend(&hint, StateFlags(options.choice.state), options.choice.test_all ? " --test-all" : "");
  return hint;
}

}  // namespace

int RunTrain(const TrainOptions& options) {
  Waker waker;
  // Before anything that starts a thread.
  std::atomic<bool> runs = false;
  // A run that is to end writes its model; one that is prepared, or has to end at once, waits for no storage.
  const Interruption interruption(&waker, /*takes_hangups=*/true, [&](int count) {
    if (!runs || count > 1) options.choice.storage.Stop();
  });
  const std::unique_ptr<TrainReporter> reporter =
      WithTensorBoard(ChooseReporter(options.json), {options.tensorboard, "", options.rpc, options.choice.storage});
  absl::StatusOr<Prepared> prepared = Prepare(options);
  if (!prepared.ok()) {
    reporter->Failed(std::string(prepared.status().message()));
    PrintError(prepared.status().message());
    return interruption.signal() != 0 ? kExitSignal + interruption.signal() : kExitUsage;
  }
  runs = true;
  const uint64_t resumed_from = prepared->run.spec.resume() ? prepared->run.record.snapshot : 0;
  reporter->Started(FactsOf(prepared->run));
  TrainRun run(std::move(prepared->run), &waker, &interruption, prepared->directory.get(), reporter.get());
  const absl::Status status = run.Run();
  if (status.ok()) return kExitOk;

  const std::string hint =
      run.finished() ? "" : ResumeHint(options, interruption.signal() == 0, resumed_from, run.snapshot());
  const std::string text = absl::StrCat(status.message(), hint.empty() ? "" : "; ", hint);
  reporter->Failed(text);
  PrintError(text);
  return interruption.signal() != 0 ? kExitSignal + interruption.signal() : kExitFailed;
}

}  // namespace samovar
