#include "config/cli_flags.h"

#include "config/command_tree.h"

namespace samovar {
namespace {

// Says which flags do not go together; null if all do.
const char* ConflictInMode(const ModeChoice& mode) {
  if (mode.topk_ratio.has_value() && mode.encoding != "topk") return "--topk-ratio is for --encoding topk";
  if (mode.delay.has_value() && mode.mode != "bounded") return "--delay is for --mode bounded";
  if (mode.parts.has_value() && mode.mode != "sync") return "--parts is for --mode sync";
  return nullptr;
}

const char* ConflictInJob(const JobOptions& job) {
  if (!job.weights.empty() && !job.snapshot.empty()) {
    return "--weights and --snapshot exclude each other: a .solverstate names its model; with --weights training "
           "begins at 0";
  }
  if (job.resume && !job.snapshot.empty()) {
    return "--resume and --snapshot exclude each other: --resume continues from the run's own last snapshot";
  }
  if (job.resume && !job.weights.empty()) {
    return "--resume and --weights exclude each other: an earlier run continues with the weights that it has";
  }
  if (!job.restore.empty() && (job.resume || !job.snapshot.empty() || !job.weights.empty())) {
    return "--restore excludes --resume, --snapshot and --weights: an exported snapshot has all that training begins "
           "from";
  }
  return ConflictInMode(job.mode);
}

const char* ConflictOf(const CommandTree& cli) {
  if (cli.train.resume && cli.train.restart) {
    return "--resume and --restart exclude each other: continue the earlier run, or give it up";
  }
  if (!cli.history.tensorboard.empty() && (cli.history.csv || cli.history.json)) {
    return "--tensorboard excludes --csv and --json: with it the points go into an event file";
  }
  if (!cli.submit.tensorboard.empty() && !cli.submit.watch) {
    return "--tensorboard is for --watch: the command that shows how the job goes writes the event files; later, "
           "samovar history --tensorboard makes one of the whole curve";
  }
  if (cli.history.csv && cli.history.json) return "--csv and --json exclude each other: choose one format";
  for (const JobOptions* const job :
       {static_cast<const JobOptions*>(&cli.train), static_cast<const JobOptions*>(&cli.submit),
        static_cast<const JobOptions*>(&cli.yarn_train)}) {
    if (const char* const conflict = ConflictInJob(*job); conflict != nullptr) return conflict;
  }
  return ConflictInMode(cli.plan.mode);
}

}  // namespace

Parsed<CliFlags> ParseCliFlags(int argc, const char* const* argv, const StorageTable& storage) {
  CommandTree cli(storage);
  Parsed<CliFlags> parsed;
  parsed.exit_code = cli.line.Parse(argc, argv);
  if (!parsed.exit_code.has_value()) {
    const char* conflict = ConflictOf(cli);
    parsed.exit_code = conflict != nullptr ? cli.line.UsageError(conflict) : cli.ReadRoles();
    if (!parsed.exit_code.has_value()) parsed.exit_code = cli.ReadPlaces();
  }
  parsed.flags = cli.Chosen();
  return parsed;
}

}  // namespace samovar
