// The pages that a server serves over HTTP, for browsers, Prometheus and programs that speak JSON.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "common/pages/process_pages.h"
#include "samovar/v1/status.pb.h"

namespace samovar {

struct ServerPages {
  ProcessPages process;
  // The status that this server has of its cluster; called from any thread.
  std::function<v1::ClusterStatus()> status;
};

// Those of each process, and
//   /api/v1/status    v1.ClusterStatus as JSON, with the names of its fields
std::map<std::string, PageServer::Handler> PagesOf(const ServerPages& server);

}  // namespace samovar
