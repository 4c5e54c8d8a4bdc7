// A checked job in words.
#pragma once

#include <string>

#include "cli/check/check_job.h"
#include "samovar/v1/job.pb.h"

namespace samovar {

// When the job's test net `net` is tested, and with which records.
std::string TestedText(const v1::JobSpec& spec, int net);

// A few lines for people: solver, nets with their data, parameters, memory, files. Ends with a newline.
std::string DescribeJob(const CheckedJob& job);

}  // namespace samovar
