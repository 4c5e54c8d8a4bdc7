// Visits all chunks of a job that a server has, each in its lane.
//
// Thread safety: may be called from any thread but a lane's.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "server/store/hosted_job.h"
#include "server/store/lanes.h"
#include "server/store/watermark_waits.h"

namespace samovar {

// Calls visit(index, chunk) for each of the job's chunks in its lane, one at a time with others' work in between, and
// blocks until all are done. Returns the first error; visits stop in a lane that met one. UNAVAILABLE: the lanes have
// ended.
absl::Status WalkChunks(const std::shared_ptr<HostedJob>& job, Lanes* lanes,
                        absl::FunctionRef<absl::Status(size_t, Chunk&)> visit);

// Calls visit for the pulls that wait for each of the job's chunks, in its lane. Does not wait for that. Lanes that
// have ended visit nothing: no pull waits any more.
void VisitWaits(const std::shared_ptr<HostedJob>& job, Lanes* lanes, const std::function<void(WatermarkWaits&)>& visit);

}  // namespace samovar
