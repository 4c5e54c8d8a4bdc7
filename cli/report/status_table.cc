#include "cli/report/status_table.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "cli/report/progress.h"
#include "common/model/consistency.h"

namespace samovar {
namespace {

// A server renews its registration every 2 s.
constexpr double kServerTimeoutSeconds = 10;

using Cells = std::vector<std::string>;

// Columns as wide as their widest cell; the last one is not padded.
std::string Table(const std::vector<Cells>& rows) {
  std::vector<size_t> widths(rows.front().size());
  for (const Cells& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string table;
  for (const Cells& row : rows) {
    std::string line = " ";
    for (size_t i = 0; i < row.size(); ++i)
      absl::StrAppend(&line, " ", row[i], std::string(widths[i] - row[i].size() + 1, ' '));
    absl::StrAppend(&table, absl::StripTrailingAsciiWhitespace(line), "\n");
  }
  return table;
}

std::string Servers(const v1::ClusterStatus& status) {
  std::vector<Cells> rows = {{"address", "pid", "apply threads", "last heard"}};
  for (const v1::ServerStatus& server : status.servers()) {
    rows.push_back({server.address(), absl::StrCat(server.pid()), absl::StrCat(server.apply_threads()),
                    absl::StrFormat("%.1f s ago", server.silent_seconds())});
  }
  return Table(rows);
}

std::string Workers(const v1::ClusterStatus& status) {
  std::vector<Cells> rows = {{"id", "name", "pid", "threads", "engine", "iterations", "last heard", "work"}};
  for (const v1::WorkerStatus& worker : status.workers()) {
    rows.push_back({absl::StrCat(worker.worker_id()), worker.name(), absl::StrCat(worker.pid()),
                    absl::StrCat(worker.threads()), worker.isa(), absl::StrCat(worker.iterations_done()),
                    absl::StrFormat("%.1f s ago", worker.silent_seconds()),
                    worker.leases().empty() ? "idle" : absl::StrJoin(worker.leases(), ", ")});
  }
  return Table(rows);
}

std::string StragglersText(const v1::JobStatus& job) {
  if (job.speculative() == 0) return "";
  return absl::StrCat(job.speculative(), " given to a second worker, ", job.speculative_wasted(), " in vain");
}

// The reason why the job waits or has ended; if there is none, the error of its last snapshot or export.
const std::string& RemarkOf(const v1::JobStatus& job) {
  if (!job.cause().empty()) return job.cause();
  return job.snapshot_error().empty() ? job.export_error() : job.snapshot_error();
}

std::string Jobs(const v1::ClusterStatus& status) {
  std::vector<Cells> rows = {
      {"id", "state", "mode", "iteration", "ahead", "loss", "images/s", "left", "snapshots", ""}};
  for (const v1::JobStatus& job : status.jobs()) {
    const bool running = job.state() == v1::JOB_STATE_RUNNING;
    std::string mode = ConsistencyText(job.consistency());
    if (job.consistency().encoding() == v1::ENCODING_SPARSE)
      absl::StrAppend(&mode, absl::StrFormat(", residual %.3g", job.residual_norm()));
    rows.push_back({job.job_id(), StateText(job.state()), mode, absl::StrCat(job.iteration(), "/", job.max_iter()),
                    job.ledger().beyond() > 0 ? absl::StrCat(job.ledger().beyond()) : "-",
                    job.completed_iterations() > 0 ? absl::StrFormat("%.4g", job.loss()) : "-",
                    absl::StrFormat("%.0f", job.images_per_second()),
                    running && job.eta_seconds() > 0 ? FormatDuration(job.eta_seconds()) : "-",
                    job.snapshots().empty() ? "-" : absl::StrJoin(job.snapshots(), " "),
                    RemarkOf(job).empty() ? StragglersText(job) : RemarkOf(job)});
  }
  return Table(rows);
}

std::string Section(const std::string& name, int count, const std::string& table) {
  return count == 0 ? absl::StrCat("no ", name, "\n") : absl::StrCat(name, "\n", table);
}

}  // namespace

int LiveServers(const v1::ClusterStatus& status) {
  return static_cast<int>(
      std::count_if(status.servers().begin(), status.servers().end(),
                    [](const v1::ServerStatus& server) { return server.silent_seconds() <= kServerTimeoutSeconds; }));
}

std::string StateText(v1::JobState state) {
  return std::string(absl::StripPrefix(v1::JobState_Name(state), "JOB_STATE_"));
}

std::string JobsTable(const v1::ListJobsResponse& jobs) {
  if (jobs.jobs().empty()) return "no jobs\n";
  std::vector<Cells> rows = {{"id", "state", "iteration", "images/s", "left", "workers", "weight", ""}};
  for (const v1::JobStatus& job : jobs.jobs()) {
    const bool running = job.state() == v1::JOB_STATE_RUNNING;
    rows.push_back({job.job_id(), StateText(job.state()), absl::StrCat(job.iteration(), "/", job.max_iter()),
                    running ? absl::StrFormat("%.0f", job.images_per_second()) : "-",
                    running && job.eta_seconds() > 0 ? FormatDuration(job.eta_seconds()) : "-",
                    running ? absl::StrCat(job.workers()) : "-", absl::StrCat(job.weight()), RemarkOf(job)});
  }
  return Table(rows);
}

std::string StatusTable(const v1::ClusterStatus& status) {
  return absl::StrCat(
      "coordinator ", status.coordinator(), ", samovar ", status.version(), ", epoch ", status.epoch(), ", up ",
      FormatDuration(status.uptime_seconds()), "\n", Section("servers", status.servers_size(), Servers(status)),
      Section("workers", status.workers_size(), Workers(status)), Section("jobs", status.jobs_size(), Jobs(status)));
}

}  // namespace samovar
