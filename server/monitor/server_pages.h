// The pages that a server serves over HTTP, for browsers, Prometheus and programs that speak JSON.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "common/pages/process_pages.h"
#include "samovar/v1/job.pb.h"
#include "samovar/v1/status.pb.h"

namespace samovar {

// Called from any thread.
struct ServerPages {
  ProcessPages process;
  // The status that this server has of its cluster.
  std::function<v1::ClusterStatus()> status;
  // Sends the blocks of a job's curve, as StatusService.GetHistory. Null on a server that is no coordinator.
  std::function<absl::Status(const v1::GetHistoryRequest&, absl::FunctionRef<bool(const v1::HistoryBlock&)>)> history =
      nullptr;
  // Sends the events of a job after that number which there are now. NOT_FOUND: no such job. Null likewise.
  std::function<absl::Status(const std::string& job, uint64_t after, absl::FunctionRef<bool(const v1::JobEvent&)>)>
      events = nullptr;
};

// Those of each process, the dashboard (server/dashboard/dashboard_pages.h), and as JSON, with the names of the
// messages' fields:
//   /api/v1/status                               v1.ClusterStatus, made twice a second at most, whoever asks
//   /api/v1/history?job=J[&first=N][&points=M]   {"blocks": [v1.HistoryBlock, ...]}: of J's curve from iteration N
//                                                on, 2,000 points or as many as M says
//   /api/v1/events?job=J[&after=N]               {"events": [v1.JobEvent, ...]}: those with a higher number than N
// 404: there is no such job; 400: a parameter is wrong; the body says which.
std::map<std::string, PageServer::Handler> PagesOf(const ServerPages& server);

}  // namespace samovar
