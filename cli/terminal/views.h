// The views of `samovar watch`: a job, or a cluster, as lines for a terminal of a given size.
//
// Pure functions of what the coordinator has said; the state is only brought back within bounds. Thread safety: none
// for one state.
#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "cli/terminal/curve_plot.h"
#include "cli/terminal/styled.h"
#include "cli/terminal/view_state.h"
#include "samovar/v1/job.pb.h"
#include "samovar/v1/status.pb.h"

namespace samovar {

struct ViewSize {
  int rows = 24;
  int columns = 80;
  bool utf8 = true;
};

struct ClusterViewData {
  // How the user reaches it.
  std::string coordinator;
  v1::ClusterStatus cluster;
  // Why what is shown is not current, in words; empty: it is.
  std::string trouble;
  // By this machine's clock.
  absl::Time now;
};

struct JobViewData : ClusterViewData {
  std::string net;
  v1::JobStatus job;
  // The loss by iteration.
  std::vector<CurvePoint> curve;
  // Oldest first.
  std::vector<v1::JobEvent> events;
};

// At most `rows` lines, each of at most `columns`. The tables of a job's view are workers, servers and events, those of
// a cluster's view jobs, workers and servers.
std::vector<StyledLine> JobView(const JobViewData& data, const ViewSize& size, ViewState* state);
std::vector<StyledLine> ClusterView(const ClusterViewData& data, const ViewSize& size, ViewState* state);

}  // namespace samovar
