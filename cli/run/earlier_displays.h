// The lines of a solver's display that a coordinator does not keep any more.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/report/curve.h"
#include "samovar/v1/job.pb.h"

namespace samovar {

struct EarlierDisplays {
  // Made of the points of the curve, ascending.
  std::vector<v1::DisplayLine> lines;
  // The lines for which there is no point, and of how many, from which iteration to which.
  uint64_t missing = 0;
  uint64_t wanted = 0;
  uint64_t first = 0;
  uint64_t last = 0;
};

// The display's lines from iteration `first` on that come before iteration `end`, as far as the curve has them. The
// curve has each iteration's own loss: where the solver shows a mean of several (average_loss), there are none.
EarlierDisplays DisplaysOf(const Curve& curve, const v1::JobSpec& spec, uint64_t first, uint64_t end);

// "the lines of 120 of the iterations 0 to 9000 are not kept any more"; empty if all are there.
std::string MissingText(const EarlierDisplays& earlier);

}  // namespace samovar
