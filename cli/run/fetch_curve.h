// Asks a coordinator for a job's curve.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "cli/report/curve.h"

namespace samovar {

// With tests and rates. `max_points`, `first_iteration`: as in GetHistoryRequest. The status is that of the call that
// failed. Each of its three calls has the deadline.
grpc::Status FetchCurve(const std::shared_ptr<grpc::Channel>& channel, const std::string& job_id,
                        uint64_t first_iteration, uint32_t max_points, absl::Duration deadline, Curve* curve);

}  // namespace samovar
