// A checked job in words.
#pragma once

#include <string>

#include "cli/check_job.h"

namespace samovar {

// A few lines for people: solver, nets with their data, parameters, memory, files. Ends with a newline.
std::string DescribeJob(const CheckedJob& job);

}  // namespace samovar
