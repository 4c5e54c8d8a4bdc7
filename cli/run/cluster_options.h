// The options of every command that talks to a cluster.
#pragma once

#include <string>

#include "common/rpc/rpc_options.h"

namespace samovar {

struct ClusterOptions {
  // The "HOST:PORT" of its coordinator.
  std::string coordinator;
  RpcOptions rpc;
};

}  // namespace samovar
