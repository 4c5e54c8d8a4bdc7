#include "server/cluster/cluster_summary.h"

#include "absl/strings/str_cat.h"

namespace samovar {
namespace {

std::string Count(int number, const char* one, const char* several) {
  return absl::StrCat(number, " ", number == 1 ? one : several);
}

}  // namespace

std::string SummaryOf(const v1::ClusterStatus& status) {
  int running = 0;
  int waiting = 0;
  const v1::JobStatus* newest = nullptr;
  for (const v1::JobStatus& job : status.jobs()) {
    if (job.state() == v1::JOB_STATE_QUEUED) ++waiting;
    if (job.state() != v1::JOB_STATE_RUNNING) continue;
    ++running;
    // They are in the order in which they were submitted, the newest first.
    if (newest == nullptr) newest = &job;
  }
  std::string text = Count(running, "job runs", "jobs run");
  if (waiting > 0) absl::StrAppend(&text, ", ", Count(waiting, "waits", "wait"));
  if (newest != nullptr)
    absl::StrAppend(&text, "; iteration ", newest->iteration(), " of ", newest->max_iter(), " of ", newest->job_id());
  return absl::StrCat(text, "; ", Count(status.servers_size(), "server", "servers"), ", ",
                      Count(status.workers_size(), "worker", "workers"));
}

}  // namespace samovar
