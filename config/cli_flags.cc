#include "config/cli_flags.h"

#include "config/cli_line.h"

namespace samovar {
namespace {

// What is wrong with flags that do not go together; null if nothing is.
const char* ConflictOf(const TrainOptions& train) {
  if (train.resume && train.restart) {
    return "--resume and --restart exclude each other: continue the earlier run, or give it up";
  }
  if (!train.weights.empty() && !train.snapshot.empty()) {
    return "--weights and --snapshot exclude each other: a .solverstate names its model; with --weights training begins at 0";
  }
  if (train.resume && !train.snapshot.empty()) {
    return "--resume and --snapshot exclude each other: --resume continues from the run's own last snapshot";
  }
  if (train.resume && !train.weights.empty()) {
    return "--resume and --weights exclude each other: an earlier run continues with the weights that it has";
  }
  if (train.mode.topk_ratio.has_value() && train.mode.encoding != "topk") return "--topk-ratio is for --encoding topk";
  if (train.mode.delay.has_value() && train.mode.mode != "bounded") return "--delay is for --mode bounded";
  if (train.mode.parts.has_value() && train.mode.mode != "sync") return "--parts is for --mode sync";
  return nullptr;
}

}  // namespace

Parsed<CliFlags> ParseCliFlags(int argc, const char* const* argv) {
  CliLine cli;
  Parsed<CliFlags> parsed;
  parsed.exit_code = cli.line.Parse(argc, argv);
  if (!parsed.exit_code.has_value()) {
    const char* conflict = ConflictOf(cli.train);
    if (conflict != nullptr) parsed.exit_code = cli.line.UsageError(conflict);
  }
  parsed.flags = cli.Chosen();
  return parsed;
}

}  // namespace samovar
