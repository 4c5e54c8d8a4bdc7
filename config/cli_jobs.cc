// The commands of a cluster, its jobs and what they leave.
#include <cstdint>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "config/command_tree.h"

namespace samovar {
namespace {

constexpr char kStatusExamples[] =
    "The column \"ahead\" shows how many iterations a chunk of the model held beyond the first one that it lacked:\n"
    "the largest number among the job's chunks, at the last checkpoint.\n"
    "Examples:\n"
    "  samovar status 127.0.0.1:7100\n"
    "  samovar status 127.0.0.1:7100 --json";
constexpr char kSubmitExamples[] =
    "The solver, its nets and its data are checked here; workers find the data under the same paths. The cluster keeps "
    "the job, even\n"
    "if its coordinator is started again. Models are fetched with \"samovar model export\".\n"
    "Examples:\n"
    "  samovar submit 127.0.0.1:7100 --solver lenet_solver.prototxt\n"
    "  samovar submit 127.0.0.1:7100 --solver lenet_solver.prototxt --name lenet-sync --mode sync --weight 3 --watch\n"
    "  samovar submit 127.0.0.1:7100 --solver lenet_solver.prototxt --name lenet-sync --resume";
constexpr char kJobsExamples[] =
    "Examples:\n"
    "  samovar jobs 127.0.0.1:7100\n"
    "  samovar jobs 127.0.0.1:7100 --json";
constexpr char kWatchExamples[] =
    "On a terminal all of it shows the job, or without one the whole cluster: what is wrong, progress, the curve of "
    "the "
    "loss, workers and\n"
    "servers; ? lists the keys, q ends the view. With --plain, or where TERM is dumb, one line shows the progress. "
    "Into "
    "a file or a pipe goes\n"
    "a log in Caffe's format, from the job's beginning; without a job a line for each change. An interrupt (Ctrl-C) "
    "does "
    "not end the job.\n"
    "Exit codes: 0 the job has succeeded, or the view was ended; 1 it has failed or was cancelled; 4 the coordinator "
    "no longer answers.\n"
    "Examples:\n"
    "  samovar watch 127.0.0.1:7100\n"
    "  samovar watch lenet 127.0.0.1:7100\n"
    "  samovar watch lenet 127.0.0.1:7100 > lenet.log";
constexpr char kLogsExamples[] =
    "Events of a job are: submission, start and end, tests, snapshots, workers that were lost, and work that is given "
    "out again.\n"
    "With --worker or --server it lists the newest lines of that process' own log, as far as the coordinator has them: "
    "500 lines at most,\n"
    "also of a member that is lost. With --follow a coordinator that is started again is waited for, a minute at most: "
    "then the exit code is 4.\n"
    "Examples:\n"
    "  samovar logs lenet 127.0.0.1:7100\n"
    "  samovar logs lenet 127.0.0.1:7100 --follow\n"
    "  samovar logs 127.0.0.1:7100 --worker worker-3 --lines 50\n"
    "  samovar logs 127.0.0.1:7100 --server 10.0.0.4:7100 -f";
constexpr char kCancelExamples[] =
    "Its snapshots stay until it is forgotten, and \"samovar submit --resume\" goes on from the last.\n"
    "Example:\n"
    "  samovar cancel lenet 127.0.0.1:7100";
constexpr char kForgetExamples[] =
    "Exported models and snapshots stay; --resume has no snapshot to go on from then. Servers that are away remove "
    "theirs when\n"
    "they are back.\n"
    "Example:\n"
    "  samovar forget lenet 127.0.0.1:7100";
constexpr char kHistoryExamples[] =
    "A cluster keeps the loss of each iteration of a job, and its train net's outputs if they are no more than 32 "
    "values; of older\n"
    "iterations, beyond the newest 10000, of a few neighbours those with the lowest and the highest loss. Results of "
    "tests have lines\n"
    "of their own.\n"
    "Examples:\n"
    "  samovar history lenet 127.0.0.1:7100\n"
    "  samovar history lenet 127.0.0.1:7100 --csv > lenet.csv\n"
    "  samovar history lenet 127.0.0.1:7100 --json --from 9000 --points 100";
constexpr char kPlotExamples[] =
    "A run is a file, a log in Caffe's format or what \"samovar history --csv\" wrote, or a job of the coordinator "
    "whose address is\n"
    "the last word, or is given with --coordinator.\n"
    "Examples:\n"
    "  samovar plot lenet lenet-sync 127.0.0.1:7100 --output lenet.svg\n"
    "  samovar plot output/lenet_state/history.csv caffe.log -o both.svg";
constexpr char kModelExportExamples[] =
    "Examples:\n"
    "  samovar model export lenet 127.0.0.1:7100 --output lenet.caffemodel\n"
    "  samovar model export lenet 127.0.0.1:7100 --output lenet_5000.caffemodel --iteration 5000";
constexpr char kSnapshotExportExamples[] =
    "Examples: a job of any number of servers goes on with two\n"
    "  samovar snapshot export lenet 127.0.0.1:7100 --output /shared/snapshots\n"
    "  samovar submit 127.0.0.1:7100 --solver lenet_solver.prototxt --restore /shared/snapshots/lenet_iter_5000 "
    "--servers 2";

}  // namespace

void CommandTree::AddStatus() {
  status_ = line.AddCommand(line.app(), "status", "Shows the servers, workers and jobs of a running cluster",
                            kStatusExamples);
  AddCoordinator(status_, &status);
  status_->add_flag("--json", status.json, "Writes the whole status as JSON");
}

CLI::Option* CommandTree::AddAddress(CLI::App* command, ClusterOptions* cluster) {
  return command
      ->add_option("address,--coordinator", cluster->coordinator,
                   "Asks the coordinator at this HOST:PORT, or the one that the cluster's home names, a path or "
                   "URI; without it that of SAMOVAR_COORDINATOR, or of the user's samovar.toml")
      ->type_name("ADDRESS")
      ->transform(CoordinatorValidator(storage_));
}

void CommandTree::AddCoordinator(CLI::App* command, ClusterOptions* cluster) {
  line.TakeUserCoordinator(command, AddAddress(command, cluster), &cluster->coordinator_source, /*is_required=*/true);
}

void CommandTree::AddJob(CLI::App* command, std::string* job, ClusterOptions* cluster) {
  line.Require(command,
               command->add_option("job", *job, "Names the job")->type_name("JOB")->check(KnownJobNameValidator()));
  AddCoordinator(command, cluster);
}

void CommandTree::AddPlace(CLI::App* command, std::string* job, ClusterOptions* cluster) {
  // ReadPlaces checks them.
  command->add_option("job", *job, "Names the job")->type_name("JOB");
  line.TakeUserCoordinator(command, AddAddress(command, cluster), &cluster->coordinator_source, /*is_required=*/false);
}

std::optional<int> CommandTree::ReadPlaces() {
  if (line.command() != watch_ && line.command() != logs_) return std::nullopt;
  const bool watches = line.command() == watch_;
  std::string& job = watches ? watch.job : logs.job;
  ClusterOptions& cluster = watches ? static_cast<ClusterOptions&>(watch) : logs;
  std::string& address = cluster.coordinator;
  // The one word that is there is the place, if it can be: a name of a job has neither a colon nor a slash. It goes
  // before the place that the user has noted.
  const bool is_place = absl::StrContains(job, ':') || absl::StrContains(job, '/');
  if (is_place && (address.empty() || !cluster.coordinator_source.empty())) {
    const std::string wrong = CoordinatorValidator(storage_)(job);
    if (!wrong.empty()) return line.UsageError(absl::StrCat("address: ", wrong));
    address = std::exchange(job, "");
    cluster.coordinator_source.clear();
  }
  const int subjects =
      static_cast<int>(!job.empty()) + static_cast<int>(!logs.worker.empty()) + static_cast<int>(!logs.server.empty());
  if (!watches && subjects == 0)
    return line.UsageError("job is missing; name one, or a member with --worker or --server");
  if (const std::string wrong = job.empty() ? "" : KnownJobNameValidator()(job); !wrong.empty())
    return line.UsageError(absl::StrCat("job: ", wrong));
  if (address.empty()) return line.CoordinatorMissing("address");
  if (watches && job.empty() && !watch.tensorboard.empty())
    return line.UsageError("--tensorboard writes the curve of a job: name one");
  if (watches) return std::nullopt;
  if (subjects > 1) return line.UsageError("a job, --worker and --server exclude each other: name one of them");
  if (logs.lines > 0 && !job.empty()) return line.UsageError("--lines is for --worker and --server");
  return std::nullopt;
}

void CommandTree::AddSubmit() {
  submit_ = line.AddCommand(line.app(), "submit", "Submits a job to a running cluster", kSubmitExamples);
  AddCoordinator(submit_, &submit);
  AddJobFlags(submit_, "--solver", &submit);
  submit_
      ->add_option(
          "--name", submit.name,
          "Names the job, in commands, files and snapshots; otherwise the end of the solver's snapshot_prefix does")
      ->type_name("NAME")
      ->check(JobNameValidator());
  submit_
      ->add_option(
          "--servers", submit.servers,
          "Shares the model among so many of the cluster's servers; without it, among all that have registered")
      ->type_name("N")
      ->default_str("")
      ->check(Between(1, kMaxCount));
  submit_
      ->add_option("--weight", submit.weight,
                   "Gives the job, while others run as well, workers' time in proportion to this: one of weight 3 gets "
                   "three times as "
                   "much as one of weight 1")
      ->type_name("N")
      ->check(Between(1, 1000));
  submit_->add_option("--keep-snapshots", submit.keep_snapshots, "Keeps so many snapshots on each server")
      ->type_name("N")
      ->check(Between(1, kMaxCount));
  submit_->add_flag("--watch", submit.watch,
                    "Stays and shows how the job goes, as train does; an interrupt does not end the job");
  AddTensorBoard(submit_, &submit.tensorboard, ", with --watch, while the job runs");
  submit_->add_flag("--json", submit.json, "Reports what happens as one JSON object a line");
}

void CommandTree::AddJobCommands() {
  jobs_ = line.AddCommand(line.app(), "jobs", "Lists the jobs of a running cluster", kJobsExamples);
  AddCoordinator(jobs_, &jobs);
  jobs_->add_flag("--json", jobs.json, "Writes all that is known of the jobs as JSON");
  watch_ = line.AddCommand(line.app(), "watch", "Shows how a job of a cluster goes until it has ended, or the cluster",
                           kWatchExamples);
  AddPlace(watch_, &watch.job, &watch);
  AddTensorBoard(watch_, &watch.tensorboard, " while the job runs");
  watch_->add_flag("--json", watch.json, "Reports what happens as one JSON object a line");
  watch_->add_flag("--plain", watch.plain, "Shows the progress in one line of the terminal, not in all of it");
  logs_ = line.AddCommand(line.app(), "logs", "Lists the events of a job of a cluster, or the log of a member",
                          kLogsExamples);
  AddPlace(logs_, &logs.job, &logs);
  logs_->add_option("--worker", logs.worker, "Lists the log of the worker of this name or number")->type_name("WORKER");
  logs_->add_option("--server", logs.server, "Lists the log of the server with this address")->type_name("HOST:PORT");
  logs_
      ->add_option("--lines", logs.lines,
                   "With --worker or --server, lists so many of the newest lines; without it, all that are kept")
      ->type_name("N")
      ->default_str("")
      ->check(Between(1, 1'000'000));
  logs_->add_flag("-f,--follow", logs.follow, "Goes on until the job has ended, or as long as the member is there");
  logs_->add_flag("--json", logs.json, "Writes each event or line as one JSON object a line");
  cancel_ = line.AddCommand(line.app(), "cancel", "Ends a job of a cluster", kCancelExamples);
  AddJob(cancel_, &cancel.job, &cancel);
  cancel_->add_flag("--json", cancel.json, "Prints one JSON object");
  forget_ = line.AddCommand(line.app(), "forget", "Forgets an ended job of a cluster, and removes its snapshots",
                            kForgetExamples);
  AddJob(forget_, &forget.job, &forget);
}

void CommandTree::AddHistory() {
  history_ = line.AddCommand(line.app(), "history", "Shows the loss, rates and tests of a job, iteration by iteration",
                             kHistoryExamples);
  AddJob(history_, &history.job, &history);
  history_->add_flag("--csv", history.csv, "Writes CSV, a line each point");
  history_->add_flag("--json", history.json, "Writes each point as one JSON object a line");
  AddTensorBoard(history_, &history.tensorboard, ", and prints no points");
  history_->add_option("--from", history.from, "Begins at this iteration")
      ->type_name("N")
      ->check(Between(0, std::numeric_limits<uint64_t>::max()));
  history_
      ->add_option(
          "--points", history.points,
          "Shows so many points at most, those with the lowest and the highest loss of equal stretches; 0: all "
          "that are kept; without it 50 in the table, and all with --csv and --json")
      ->type_name("N")
      ->default_str("")
      ->check(Between(0, std::numeric_limits<uint32_t>::max()));
}

void CommandTree::AddPlot() {
  plot_ = line.AddCommand(line.app(), "plot", "Draws losses, tests and learning rates of jobs and logs in one picture",
                          kPlotExamples);
  line.Require(plot_, plot_->add_option("run", plot.runs, "Draws these runs: files, or jobs of a coordinator")
                          ->type_name("RUN")
                          ->default_str(""));
  plot_
      ->add_option("--coordinator", plot.coordinator,
                   "Asks the coordinator at this HOST:PORT for the jobs, or the one that the cluster's home names: a "
                   "path or URI")
      ->type_name("ADDRESS")
      ->transform(CoordinatorValidator(storage_))
      ->default_str("");
  // Not the flag itself: a last word HOST:PORT goes before it.
  CLI::Option* const user = plot_->add_option("--user-coordinator", plot.user_coordinator)
                                ->transform(CoordinatorValidator(storage_))
                                ->group("");
  line.TakeUserCoordinator(plot_, user, &plot.user_coordinator_source, /*is_required=*/false);
  line.Require(plot_, plot_->add_option("-o,--output", plot.output, "Writes the picture into this file, an SVG")
                          ->type_name("FILE")
                          ->transform(StoredPathValidator(storage_)));
  plot_->add_flag("--log", plot.log, "Draws losses on a logarithmic scale");
}

void CommandTree::AddModelExport() {
  CLI::App* model = line.AddCommand(line.app(), "model", "Gets models out of a cluster", "");
  model_export_ = line.AddCommand(
      model, "export", "Writes the model and the solver's state of a job, which may be running", kModelExportExamples);
  AddJob(model_export_, &model_export.job, &model_export);
  line.Require(model_export_,
               model_export_
                   ->add_option("--output", model_export.output,
                                "Writes the model into this file, a .caffemodel, or with .h5 behind it in HDF5; the "
                                ".solverstate is put beside it")
                   ->type_name("FILE")
                   ->transform(StoredPathValidator(storage_)));
  model_export_
      ->add_option("--iteration", model_export.iteration,
                   "Takes this snapshot of the job; otherwise a running job makes a new one, and one that has ended "
                   "gives its last")
      ->type_name("N")
      ->default_str("")
      ->check(Between(0, std::numeric_limits<uint64_t>::max()));
  model_export_->add_flag("--force", model_export.force, "Replaces files that are there already");
  model_export_->add_flag("--json", model_export.json, "Reports each file that was written as one JSON object a line");
}

void CommandTree::AddSnapshotExport() {
  CLI::App* snapshot = line.AddCommand(line.app(), "snapshot", "Gets snapshots out of a cluster", "");
  snapshot_export_ = line.AddCommand(snapshot, "export",
                                     "Has a running job write a snapshot that any number of servers can go on from",
                                     kSnapshotExportExamples);
  AddJob(snapshot_export_, &snapshot_export.job, &snapshot_export);
  line.Require(snapshot_export_,
               snapshot_export_
                   ->add_option("--output", snapshot_export.output,
                                "Makes the snapshot's directory, JOB_iter_N, in this one, which all servers must "
                                "find under this path; older ones of the job there are removed, as with "
                                "--export-snapshots")
                   ->type_name("DIR")
                   ->transform(StoredPathValidator(storage_)));
  snapshot_export_->add_flag("--json", snapshot_export.json, "Prints one JSON object");
}

}  // namespace samovar
