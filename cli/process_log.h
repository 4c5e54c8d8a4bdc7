// `samovar logs --worker` and `--server`: the lines of a member's own log.
#pragma once

#include "cli/options.h"

namespace samovar {

// As the commands of commands.h.
int RunProcessLog(const LogsOptions& options);

}  // namespace samovar
