// Chooses the address that a server tells others to dial, when it listens on all of its machine's and none is named.
//
// Thread safety: any thread may call any function.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace samovar {

// Whether "host:port" stands for all addresses of a machine, 0.0.0.0 or [::] say, which other machines cannot dial.
bool ListensEverywhere(const std::string& address);

// The host of this machine by which the machine at `address`, "host:port", sees it, as a number; IPv6 in brackets. It
// is that of the route there: looks up the host's name, which may take seconds, and sends nothing. UNAVAILABLE: the
// name is not known, or no route leads there; it may work later.
absl::StatusOr<std::string> HostTowards(const std::string& address);

}  // namespace samovar
