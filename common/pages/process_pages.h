// The pages that each process serves: whether it lives, whether it is ready, and its metrics for Prometheus.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "common/pages/page_server.h"
#include "common/telemetry/metrics.h"

namespace samovar {

struct ProcessPages {
  // Outlives the server.
  const Metrics* metrics = nullptr;
  // Called from any thread: why the process does not do its work now; empty: it does.
  std::function<std::string()> unready;
  // More metrics, in Prometheus' format, of families that `metrics` does not have. May be null.
  std::function<std::string()> more_metrics = nullptr;
};

// /healthz: 200 while the process answers. /readyz: 200, or 503 with the reason. /metrics.
std::map<std::string, PageServer::Handler> PagesOf(const ProcessPages& process);

}  // namespace samovar
