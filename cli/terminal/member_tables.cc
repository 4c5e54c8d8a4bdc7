#include "cli/terminal/member_tables.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "cli/report/progress.h"
#include "cli/report/status_table.h"
#include "common/base/printable.h"
#include "common/model/consistency.h"

namespace samovar {
namespace {

// As in server/cluster/problems.h: from then on it is one.
constexpr double kQuietSeconds = 3;
// A failure that was so long ago is not at present.
constexpr double kRecentSeconds = 60;
constexpr uint64_t kLittleRoom = uint64_t{1} << 30;

std::string Share(double share) { return absl::StrFormat("%.0f%%", 100 * share); }
std::string Megabytes(double bytes) { return absl::StrFormat("%.*f", bytes < 10e6 ? 1 : 0, bytes / 1e6); }
std::string Age(double seconds) { return seconds < 60 ? absl::StrFormat("%.1f s", seconds) : FormatDuration(seconds); }

bool IsRecent(uint64_t unix_ms, const v1::ClusterStatus& cluster) {
  return unix_ms != 0 &&
         static_cast<double>(cluster.unix_ms() - std::min(cluster.unix_ms(), unix_ms)) / 1000 < kRecentSeconds;
}

// The text behind "JOB: ", of one job; of all jobs the whole texts.
std::vector<std::string> LeasesOf(const v1::WorkerStatus& worker, const std::string& job_id) {
  std::vector<std::string> leases;
  for (absl::string_view lease : worker.leases()) {
    if (job_id.empty() || absl::ConsumePrefix(&lease, absl::StrCat(job_id, ": "))) leases.emplace_back(lease);
  }
  return leases;
}

Style StyleOf(const v1::WorkerStatus& worker, const v1::ClusterStatus& cluster) {
  if (worker.silent_seconds() > kQuietSeconds) return Style::kBad;
  const v1::WorkerActivity activity = worker.figures().activity();
  const bool waits = activity == v1::WORKER_ACTIVITY_WAITING_FOR_RECORDS ||
                     activity == v1::WORKER_ACTIVITY_WAITING_FOR_PUSH ||
                     activity == v1::WORKER_ACTIVITY_WAITING_FOR_WEIGHTS;
  if (waits && worker.figures().activity_seconds() > kQuietSeconds) return Style::kWarning;
  if (IsRecent(worker.last_error_unix_ms(), cluster) || !worker.straggler().empty()) return Style::kWarning;
  return worker.leases().empty() ? Style::kDim : Style::kPlain;
}

Style StyleOf(const v1::ServerStatus& server) {
  if (server.silent_seconds() > kQuietSeconds || server.gone()) return Style::kBad;
  const v1::ServerFigures& figures = server.figures();
  const bool full =
      figures.disk_bytes() > 0 && figures.disk_free_bytes() < std::min(kLittleRoom, figures.disk_bytes() / 100);
  const bool failed = !figures.last_error().empty() && figures.last_error_age_seconds() < kRecentSeconds;
  return full || failed ? Style::kWarning : Style::kPlain;
}

std::string StateOf(const v1::ServerStatus& server) {
  if (server.gone()) return "gone";
  if (server.silent_seconds() > kQuietSeconds) return "silent";
  const v1::ServerFigures& figures = server.figures();
  return !figures.last_error().empty() && figures.last_error_age_seconds() < kRecentSeconds
             ? Printable(figures.last_error())
             : "";
}

Style StyleOf(const v1::JobStatus& job) {
  switch (job.state()) {
    case v1::JOB_STATE_RUNNING:
      return job.cause().empty() ? Style::kPlain : Style::kBad;
    case v1::JOB_STATE_QUEUED:
      return Style::kWarning;
    case v1::JOB_STATE_FAILED:
      return Style::kBad;
    default:
      return Style::kDim;
  }
}

Style StyleOf(const v1::JobEvent& event) {
  switch (event.kind()) {
    case v1::JobEvent::KIND_STATE:
      return Style::kBold;
    case v1::JobEvent::KIND_WORKER:
    case v1::JobEvent::KIND_LEASE:
      return Style::kWarning;
    default:
      return Style::kPlain;
  }
}

TableRow RowOf(const v1::ServerStatus& server) {
  const v1::ServerFigures& figures = server.figures();
  return {{server.address(), server.host(), Megabytes(server.received_bytes_per_second()),
           Megabytes(server.sent_bytes_per_second()), Share(server.apply_load() / std::max(1u, server.apply_threads())),
           absl::StrCat(figures.queued_tasks()), Megabytes(static_cast<double>(figures.parameter_bytes())),
           absl::StrFormat("%.1f", static_cast<double>(figures.disk_free_bytes()) / 1e9),
           figures.has_snapshot_age_seconds() ? Age(figures.snapshot_age_seconds() + server.silent_seconds()) : "-",
           Age(server.silent_seconds()), StateOf(server)},
          StyleOf(server)};
}

}  // namespace

Table WorkerTable(const v1::ClusterStatus& cluster, const std::string& job_id) {
  Table table;
  table.columns = {
      {"workers"},       {"host", 8},       {"images/s", 0, true}, {"compute", 1, true},       {"records", 5, true},
      {"push", 4, true}, {"pull", 3, true}, {"cpu", 6, true},      {"stale 50%/99%", 9, true}, {"heard", 2, true},
      {"state"}};
  for (const v1::WorkerStatus& worker : cluster.workers()) {
    const std::vector<std::string> leases = LeasesOf(worker, job_id);
    // It works for another job.
    if (leases.empty() && !worker.leases().empty()) continue;
    std::string state = Printable(worker.state());
    if (!leases.empty()) absl::StrAppend(&state, " (", Printable(absl::StrJoin(leases, ", ")), ")");
    if (!worker.straggler().empty()) state = absl::StrCat(worker.straggler(), "; ", state);
    const v1::WorkerFigures& figures = worker.figures();
    table.rows.push_back(
        {{absl::StrCat(worker.name(), " (", worker.worker_id(), ")"), worker.host(),
          absl::StrFormat("%.0f", worker.images_per_second()), Share(worker.compute_share()),
          Share(worker.feed_wait_share()), Share(worker.push_wait_share()), Share(worker.pull_wait_share()),
          Share(worker.cpu_share()),
          figures.staleness_pushes() > 0 ? absl::StrCat(figures.staleness_p50(), "/", figures.staleness_p99()) : "-",
          Age(worker.silent_seconds()), state},
         StyleOf(worker, cluster)});
  }
  return table;
}

Table ServerTable(const v1::ClusterStatus& cluster, const v1::JobStatus* job) {
  Table table;
  table.columns = {
      {"servers"},        {"host", 8},          {"in MB/s", 0, true}, {"out MB/s", 1, true}, {"apply", 3, true},
      {"queue", 5, true}, {"MB held", 7, true}, {"GB free", 4, true}, {"snapshot", 6, true}, {"heard", 2, true},
      {"state"}};
  if (job == nullptr) {
    for (const v1::ServerStatus& server : cluster.servers()) table.rows.push_back(RowOf(server));
    return table;
  }
  for (const std::string& address : job->servers()) {
    const auto found = std::find_if(cluster.servers().begin(), cluster.servers().end(),
                                    [&](const v1::ServerStatus& server) { return server.address() == address; });
    if (found != cluster.servers().end()) {
      table.rows.push_back(RowOf(*found));
    } else {
      std::vector<std::string> cells(table.columns.size());
      cells.front() = address;
      cells.back() = "is not there";
      table.rows.push_back({std::move(cells), Style::kBad});
    }
  }
  return table;
}

Table JobTable(const v1::ClusterStatus& cluster) {
  Table table;
  table.columns = {{"jobs"},
                   {"state"},
                   {"iteration", 0, true},
                   {"", 4, true},
                   {"loss", 1, true},
                   {"images/s", 2, true},
                   {"left", 3, true},
                   {"workers", 5, true},
                   {"mode", 7},
                   {"remark"}};
  for (const v1::JobStatus& job : cluster.jobs()) {
    const bool running = job.state() == v1::JOB_STATE_RUNNING;
    const std::string& remark = !job.cause().empty()            ? job.cause()
                                : !job.snapshot_error().empty() ? job.snapshot_error()
                                                                : job.export_error();
    table.rows.push_back(
        {{job.job_id(), StateText(job.state()), absl::StrCat(job.iteration(), "/", job.max_iter()),
          job.max_iter() > 0 ? absl::StrCat(100 * job.iteration() / job.max_iter(), "%") : "",
          job.completed_iterations() > 0 ? absl::StrFormat("%.4g", job.loss()) : "-",
          running ? absl::StrFormat("%.0f", job.images_per_second()) : "-",
          running && job.eta_seconds() > 0 ? FormatDuration(job.eta_seconds()) : "-",
          running ? absl::StrCat(job.workers()) : "-", ConsistencyText(job.consistency()), Printable(remark)},
         StyleOf(job)});
  }
  return table;
}

Table EventTable(const std::vector<v1::JobEvent>& events) {
  Table table;
  table.columns = {{"events"}, {""}};
  for (const v1::JobEvent& event : events) {
    const absl::Time time = absl::FromUnixMillis(static_cast<int64_t>(event.unix_ms()));
    table.rows.push_back(
        {{absl::FormatTime("%H:%M:%S", time, absl::LocalTimeZone()),
          absl::StrCat(Printable(event.text()),
                       event.repeats() > 0 ? absl::StrCat(" (and the like ", event.repeats(), " times more)") : "")},
         StyleOf(event)});
  }
  return table;
}

}  // namespace samovar
