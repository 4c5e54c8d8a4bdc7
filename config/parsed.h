// The outcome of a command line: options to run with, or an exit code.
#pragma once

#include <optional>

namespace samovar {

template <class T>
struct Parsed {
  T flags;
  // Set: all has been said (help and version on stdout, a usage error on stderr), and main returns this: 0 for --help
  // and
  // --version, 2 for a usage error. Then `flags` means nothing.
  std::optional<int> exit_code;
};

}  // namespace samovar
