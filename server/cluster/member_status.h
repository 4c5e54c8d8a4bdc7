// The status of the cluster's members: their figures with rates over the last seconds, what a worker does in words, and
// which workers are slow, and why.
//
// Functions without state; callers pass the time (SteadyNow()), and the wall clock's (for people).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "samovar/v1/status.pb.h"
#include "server/cluster/membership.h"

namespace samovar {

// A member that has been silent for so long shows no rates: they would be those of another time.
inline constexpr absl::Duration kFiguresTimeout = absl::Seconds(3);

struct StatusTime {
  // By the steady clock, and by the wall clock.
  absl::Time now;
  absl::Time wall;

  // A moment of the steady clock for people, in milliseconds since 1970.
  uint64_t UnixMs(absl::Time moment) const { return static_cast<uint64_t>(absl::ToUnixMillis(wall - (now - moment))); }
};

v1::ServerStatus StatusOf(const Membership::Server& server, const StatusTime& time);
v1::LostMember StatusOf(const Membership::Lost& lost, const StatusTime& time);
// Without leases and `straggler`. `idle_reason`: why a worker without a lease has none, "no job is running".
v1::WorkerStatus StatusOf(const Membership::Worker& worker, const std::string& idle_reason, const StatusTime& time);

// Fills in `straggler`: a worker that, for ten seconds, while it was not waiting for weights, did less than half of the
// images a second that the others of its job did, in their middle (median). `job_of`: by worker's id.
void FindStragglers(const std::map<uint64_t, uint64_t>& job_of, v1::ClusterStatus* status);

}  // namespace samovar
