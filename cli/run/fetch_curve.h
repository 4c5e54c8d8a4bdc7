// Asks a coordinator for a job's curve.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "cli/report/curve.h"

namespace samovar {

// Which part of a curve.
struct CurvePart {
  // As in GetHistoryRequest.
  uint64_t first_iteration = 0;
  uint32_t max_points = 0;
  // Tests of all iterations: one ends later than points of its iteration and of the next ones.
  bool all_tests = false;
};

// With tests and rates. The status is that of the call that failed. Each of its three calls has the deadline.
grpc::Status FetchCurve(const std::shared_ptr<grpc::Channel>& channel, const std::string& job_id, const CurvePart& part,
                        absl::Duration deadline, Curve* curve);

}  // namespace samovar
