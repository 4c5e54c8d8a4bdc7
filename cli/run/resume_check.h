// Whether an earlier run on this machine may go on as a job: a job that the servers would refuse, because of their
// snapshots, is refused before anything is started.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "caffe.pb.h"
#include "cli/check/check_job.h"
#include "cli/run/run_directory.h"
#include "samovar/v1/layout.pb.h"

namespace samovar {

// `before`: the run, with a snapshot; `net`: the parameters of its net; none: not known, and not compared.
// FAILED_PRECONDITION: the solver's type, max_iter or the net do not go with the run's snapshots. The message has a
// line for each difference, which begins with its file and line, and says at its end what to do.
absl::Status CheckResumes(const RunRecord& before, const std::optional<v1::ParameterLayout>& net,
                          const CheckedJob& job);

// A warning for what may differ, and does: the solver's base_lr. Empty: nothing does, or it is not known. `before`: the
// solver of the run, or of the job, that is resumed.
std::string DescribeOtherSolver(const caffe::SolverParameter& before, const CheckedJob& job);

}  // namespace samovar
