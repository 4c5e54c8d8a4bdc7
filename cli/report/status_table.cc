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

std::string Megabytes(double bytes) { return absl::StrFormat("%.*f", bytes < 10e6 ? 1 : 0, bytes / 1e6); }

std::string Share(double share) { return absl::StrFormat("%.0f%%", 100 * share); }

std::string Ago(double seconds) { return absl::StrFormat("%.1f s ago", seconds); }

std::string Servers(const v1::ClusterStatus& status) {
  std::vector<Cells> rows = {{"address", "host", "in MB/s", "out MB/s", "apply", "queue", "chunks", "MB held",
                              "GB disk free", "snapshot", "last heard"}};
  for (const v1::ServerStatus& server : status.servers()) {
    const v1::ServerFigures& figures = server.figures();
    rows.push_back({server.address(), server.host(), Megabytes(server.received_bytes_per_second()),
                    Megabytes(server.sent_bytes_per_second()),
                    Share(server.apply_load() / std::max(1u, server.apply_threads())),
                    absl::StrCat(figures.queued_tasks()), absl::StrCat(figures.chunks()),
                    Megabytes(static_cast<double>(figures.parameter_bytes())),
                    absl::StrFormat("%.1f", static_cast<double>(figures.disk_free_bytes()) / 1e9),
                    figures.has_snapshot_age_seconds()
                        ? absl::StrCat(FormatDuration(figures.snapshot_age_seconds() + server.silent_seconds()), " ago")
                        : "-",
                    Ago(server.silent_seconds())});
  }
  return Table(rows);
}

// "1/3/7"
std::string Staleness(const v1::WorkerFigures& figures) {
  if (figures.staleness_pushes() == 0) return "-";
  return absl::StrCat(figures.staleness_p50(), "/", figures.staleness_p99(), "/", figures.staleness_max());
}

std::string Workers(const v1::ClusterStatus& status) {
  std::vector<Cells> rows = {{"id", "name", "host", "threads", "engine", "images/s", "compute", "records", "push",
                              "pull", "cpu", "staleness", "last heard", "state"}};
  for (const v1::WorkerStatus& worker : status.workers()) {
    std::string state = worker.state();
    if (!worker.leases().empty()) absl::StrAppend(&state, " (", absl::StrJoin(worker.leases(), ", "), ")");
    if (!worker.straggler().empty()) absl::StrAppend(&state, "; ", worker.straggler());
    rows.push_back({absl::StrCat(worker.worker_id()), worker.name(), worker.host(), absl::StrCat(worker.threads()),
                    worker.isa(), absl::StrFormat("%.0f", worker.images_per_second()), Share(worker.compute_share()),
                    Share(worker.feed_wait_share()), Share(worker.push_wait_share()), Share(worker.pull_wait_share()),
                    Share(worker.cpu_share()), Staleness(worker.figures()), Ago(worker.silent_seconds()), state});
  }
  return Table(rows);
}

std::string Problems(const v1::ClusterStatus& status) {
  std::string text;
  for (const std::string& problem : status.problems()) absl::StrAppend(&text, "  ", problem, "\n");
  return text.empty() ? "" : absl::StrCat("problems\n", text);
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

// Where the coordinator serves its page, on its own host; empty: nowhere.
std::string DashboardText(const v1::ClusterStatus& status) {
  for (const v1::ServerStatus& server : status.servers()) {
    if (server.address() == status.coordinator() && !server.http().empty())
      return absl::StrCat(", dashboard http://", server.http(), "/ on ", server.host());
  }
  return "";
}

// Whether a server has answered that is not its cluster's coordinator: it knows itself alone.
bool IsPlainServer(const v1::ClusterStatus& status) {
  return status.servers_size() == 1 && status.workers().empty() && status.jobs().empty() &&
         status.servers(0).address() != status.coordinator();
}

std::string PlainServer(const v1::ClusterStatus& status) {
  const std::string& coordinator = status.coordinator();
  const std::string where = coordinator.empty() ? "which it has not found yet" : absl::StrCat("which is ", coordinator);
  return absl::StrCat("server ", status.servers(0).address(), ", samovar ", status.version(), ", up ",
                      FormatDuration(status.uptime_seconds()), "\nthis is a server, not the coordinator (", where, ")",
                      coordinator.empty() ? "" : absl::StrCat("; for workers and jobs: samovar status ", coordinator),
                      "\n", Problems(status), Section("servers", 1, Servers(status)));
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
  if (IsPlainServer(status)) return PlainServer(status);
  return absl::StrCat("coordinator ", status.coordinator(), ", samovar ", status.version(), ", epoch ", status.epoch(),
                      ", up ", FormatDuration(status.uptime_seconds()), DashboardText(status), "\n", Problems(status),
                      Section("servers", status.servers_size(), Servers(status)),
                      Section("workers", status.workers_size(), Workers(status)),
                      Section("jobs", status.jobs_size(), Jobs(status)));
}

}  // namespace samovar
