#include "config/cli_flags.h"

#include "config/cli_line.h"

namespace samovar {

Parsed<CliFlags> ParseCliFlags(int argc, const char* const* argv) {
  CliLine cli;
  Parsed<CliFlags> parsed;
  parsed.exit_code = cli.line.Parse(argc, argv);
  parsed.flags = cli.Chosen();
  return parsed;
}

}  // namespace samovar
