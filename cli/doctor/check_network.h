// The checks of `samovar doctor` between machines: ports, names, the coordinator, and how far clocks are apart.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/doctor/finding.h"
#include "cli/doctor/node_role.h"
#include "samovar/v1/status.pb.h"

namespace samovar {

// The addresses of a name, as this machine resolves it, in their usual form. NOT_FOUND: it has none.
using Resolver = std::function<absl::StatusOr<std::vector<std::string>>(const std::string& host)>;
absl::StatusOr<std::vector<std::string>> ResolveHost(const std::string& host);

// "hn0" of "hn0:7400".
std::string HostOf(const std::string& address);

// Whether the service can listen where it is to: the port is free, or held by the service itself. Listens nowhere.
// REQUIRES: the role is no worker
Finding CheckPort(const NodeRole& role, const std::string& proc);

// Whether a server of this machine could listen there now; the error says why not. Listens nowhere.
absl::Status CheckListens(const std::string& address);

// Whether others can reach this machine by its own name.
Finding CheckOwnName(const std::string& host, const Resolver& resolve);
// Whether the coordinator's name leads anywhere.
Finding CheckCoordinatorName(const std::string& address, const Resolver& resolve);

// Whether the coordinator answers, and is of a version that this one can work with. `place`: as the user named it.
std::vector<Finding> CheckCoordinator(const std::string& place, const absl::StatusOr<v1::ClusterStatus>& status);

// How far this machine's clock is from another's. `off`: positive if this one is ahead.
Finding CheckClockOffset(const std::string& other, absl::Duration off);

}  // namespace samovar
