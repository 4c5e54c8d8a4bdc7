#include "server/cluster/cluster_summary.h"

#include "tests/support/catch.h"

namespace samovar {
namespace {

void AddJob(const char* name, v1::JobState state, uint64_t iteration, v1::ClusterStatus* status) {
  v1::JobStatus* const job = status->add_jobs();
  job->set_job_id(name);
  job->set_state(state);
  job->set_iteration(iteration);
  job->set_max_iter(10000);
}

TEST_CASE("a cluster is one line: its jobs, how far the newest is, its members") {
  v1::ClusterStatus status;
  status.add_servers();
  CHECK(SummaryOf(status) == "0 jobs run; 1 server, 0 workers");
  AddJob("waiting", v1::JOB_STATE_QUEUED, 0, &status);
  AddJob("ended", v1::JOB_STATE_SUCCEEDED, 10000, &status);
  AddJob("lenet", v1::JOB_STATE_RUNNING, 1200, &status);
  for (int i = 0; i < 8; ++i) status.add_workers();
  CHECK(SummaryOf(status) == "1 job runs, 1 waits; iteration 1200 of 10000 of lenet; 1 server, 8 workers");
  AddJob("older", v1::JOB_STATE_RUNNING, 9, &status);
  status.add_servers();
  CHECK(SummaryOf(status) == "2 jobs run, 1 waits; iteration 1200 of 10000 of lenet; 2 servers, 8 workers");
}

}  // namespace
}  // namespace samovar
