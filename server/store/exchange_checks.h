// Whether a request of the Exchange stream makes sense, and fits the job that it names.
//
// Thread safety: stateless.
#pragma once

#include "absl/status/status.h"
#include "common/model/part_tree.h"
#include "samovar/v1/parameter.pb.h"
#include "server/store/hosted_job.h"

namespace samovar {

// INVALID_ARGUMENT names the wrong field. `job`: the one that the request names; null if it is not open here, which is
// no error if only a frozen copy is pulled. REQUIRES: a job, if anything else is asked for
absl::Status CheckExchange(const v1::ExchangeRequest& request, const HostedJob* job);

// The same of the fields that change chunks: a push, or the norm of a clipped gradient.
absl::Status CheckChange(const v1::ExchangeRequest& request, const HostedJob& job);

// The parts that the request pushes, of an iteration that comes in parts.
PartRange PushedPart(const v1::ExchangeRequest& request);

// Iterations that the request pushes: at least 1.
uint64_t IterationsOf(const v1::ExchangeRequest& request);

}  // namespace samovar
