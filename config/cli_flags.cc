#include "config/cli_flags.h"

#include "config/cli_line.h"

namespace samovar {

Parsed<CliFlags> ParseCliFlags(int argc, const char* const* argv) {
  CliLine cli;
  Parsed<CliFlags> parsed;
  parsed.exit_code = cli.line.Parse(argc, argv);
  if (!parsed.exit_code.has_value() && cli.train.resume && cli.train.restart) {
    parsed.exit_code =
        cli.line.UsageError("--resume and --restart exclude each other: continue the earlier run, or give it up");
  }
  parsed.flags = cli.Chosen();
  return parsed;
}

}  // namespace samovar
