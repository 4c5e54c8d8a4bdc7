// Asks a coordinator why a job does not get on.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <optional>
#include <string>

#include "cli/report/standstill.h"

namespace samovar {

// If it is due: asks for the cluster's status and the job's events, a second at most for each. Nothing: there is
// nothing to tell at this moment.
std::optional<StandstillFacts> LookAtStandstill(const std::shared_ptr<grpc::Channel>& channel,
                                                const std::string& job_id, Standstill* standstill);

}  // namespace samovar
