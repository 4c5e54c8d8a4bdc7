// Chooses the reporter for the reader of the standard output: a terminal, a file, or a program.
#pragma once

#include <memory>

#include "cli/report/train_reporter.h"

namespace samovar {

// JSON if asked for; a living line on a terminal; otherwise a log in Caffe's format.
std::unique_ptr<TrainReporter> ChooseReporter(bool json);

}  // namespace samovar
