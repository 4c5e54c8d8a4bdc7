// NodeRole is a service of this machine, as its configuration file describes it.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"

namespace samovar {

struct NodeRole {
  // "coordinator", "server" or "worker"
  std::string role = "";
  // The configuration's path.
  std::string file = "";
  // Why the service refuses its configuration; empty: it does not. If it does, nothing below is set.
  std::string error = "";
  // "host:port"; empty for a worker.
  std::string listen = "";
  // "host:port" by which others know it; empty: that of `listen`.
  std::string advertise = "";
  // The coordinator's "host:port", or the cluster's home; of the coordinator itself its own.
  std::string coordinator = "";
  // A coordinator's home, and where it exports snapshots to; empty: none.
  std::string home = "";
  std::string snapshots = "";
  // Empty for a worker.
  std::string state = "";
  // A worker's; empty: none.
  std::string cache = "";
  uint64_t cache_bytes = 0;
  // A server's parameters may take so much; 0: three quarters of what the process may have.
  uint64_t parameter_bytes = 0;

  bool is_worker() const { return role == "worker"; }
  // "samovar-server"
  const char* program() const { return is_worker() ? "samovar-worker" : "samovar-server"; }
  std::string unit() const { return absl::StrCat("samovar-", role, ".service"); }
};

}  // namespace samovar
