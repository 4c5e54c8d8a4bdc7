#include "server/monitor/cluster_metrics.h"

#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "tests/support/catch.h"

namespace samovar {
namespace {

TEST_CASE("each family is there once, and names of jobs and workers are quoted") {
  v1::ClusterStatus status;
  for (const char* name : {"a", "b"}) {
    v1::JobStatus* job = status.add_jobs();
    job->set_job_id(name);
    job->set_state(v1::JOB_STATE_RUNNING);
    job->set_images_per_second(1500.5);
    for (uint64_t pushes : {5, 3, 2}) job->mutable_ledger()->mutable_counters()->add_staleness(pushes);
    job->mutable_ledger()->mutable_counters()->set_staleness_sum(7);
  }
  v1::WorkerStatus* worker = status.add_workers();
  worker->set_name("w\"1\\\n");
  worker->mutable_figures()->set_records(640);
  const std::string text = ClusterMetrics(status);
  CHECK(absl::StrContains(text, "samovar_job_state{job=\"a\",state=\"running\"} 1\n"));
  CHECK(absl::StrContains(text, "samovar_job_images_per_second{job=\"b\"} 1500.5\n"));
  CHECK(absl::StrContains(text, "samovar_cluster_worker_records_total{worker=\"w\\\"1\\\\\\n\",host=\"\"} 640\n"));
  CHECK(absl::StrContains(text, "samovar_job_staleness_iterations_bucket{job=\"a\",le=\"1\"} 8\n"));
  CHECK(absl::StrContains(text, "samovar_job_staleness_iterations_bucket{job=\"a\",le=\"+Inf\"} 10\n"));
  CHECK(absl::StrContains(text, "samovar_job_staleness_iterations_sum{job=\"a\"} 7\n"));
  std::set<std::string> families;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    if (absl::StartsWith(line, "# TYPE ")) CHECK(families.emplace(line).second);
  }
  CHECK(families.size() > 25);
}

TEST_CASE("workers of one name have series of their own, and a time that is not known has none") {
  v1::ClusterStatus status;
  for (uint64_t id : {3, 4}) {
    status.add_workers()->set_worker_id(id);
    status.mutable_workers()->rbegin()->set_name("w");
  }
  status.add_jobs()->set_job_id("stalled");
  const std::string text = ClusterMetrics(status);
  CHECK(absl::StrContains(text, "samovar_cluster_worker_slow{worker=\"w (3)\",host=\"\"} 0\n"));
  CHECK(absl::StrContains(text, "samovar_cluster_worker_slow{worker=\"w (4)\",host=\"\"} 0\n"));
  CHECK_FALSE(absl::StrContains(text, "samovar_job_remaining_seconds{"));
}

}  // namespace
}  // namespace samovar
