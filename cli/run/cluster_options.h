// The options of every command that talks to a cluster.
#pragma once

#include <string>

#include "common/rpc/rpc_options.h"
#include "common/storage/storage_table.h"

namespace samovar {

struct ClusterOptions {
  // The "HOST:PORT" of its coordinator, or the cluster's home.
  std::string coordinator;
  RpcOptions rpc = {};
  // Where the home is, and where files are written to.
  StorageTable storage = {};
  // The variable of the environment, or the file, that names the coordinator; empty: the command line does.
  std::string coordinator_source = "";
};

}  // namespace samovar
