#include "cli/choose_reporter.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <iostream>

namespace samovar {
namespace {

constexpr int kDefaultColumns = 80;

int TerminalColumns() {
  winsize size = {};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kDefaultColumns;
  return size.ws_col;
}

}  // namespace

std::unique_ptr<TrainReporter> ChooseReporter(bool json) {
  if (json) return MakeJsonReporter(&std::cout);
  if (isatty(STDOUT_FILENO)) return MakeTerminalReporter(&std::cout, TerminalColumns);
  return MakeLogReporter(&std::cout, absl::Now, getpid());
}

}  // namespace samovar
