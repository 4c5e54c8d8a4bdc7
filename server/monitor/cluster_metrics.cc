#include "server/monitor/cluster_metrics.h"

#include <functional>
#include <map>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/telemetry/prometheus_text.h"

namespace samovar {
namespace {

template <typename Entry>
using ValueOf = std::function<double(const Entry&)>;

// A family with a value for each of the entries.
template <typename Entries, typename LabelsOf, typename Value>
void Family(const char* name, const char* type, const char* help, const Entries& entries, const LabelsOf& labels_of,
            const Value& value, PrometheusText* text) {
  text->Begin(name, type, help);
  for (const auto& entry : entries) text->Add(labels_of(entry), static_cast<double>(value(entry)));
}

void AddStaleness(const v1::JobStatus& job, PrometheusText* text) {
  const v1::PushCounters& counters = job.ledger().counters();
  double count = 0;
  for (int i = 0; i < counters.staleness_size(); ++i) {
    count += static_cast<double>(counters.staleness(i));
    const uint64_t bound = i <= 32 ? static_cast<uint64_t>(i) : uint64_t{32} << (i - 32);
    text->Add({{"job", job.job_id()}, {"le", absl::StrCat(bound)}}, count, "_bucket");
  }
  text->Add({{"job", job.job_id()}, {"le", "+Inf"}}, count, "_bucket");
  text->Add({{"job", job.job_id()}}, static_cast<double>(counters.staleness_sum()), "_sum");
  text->Add({{"job", job.job_id()}}, count, "_count");
}

void AddJobs(const v1::ClusterStatus& status, PrometheusText* text) {
  const auto labels = [](const v1::JobStatus& job) { return PrometheusText::Labels{{"job", job.job_id()}}; };
  const auto add = [&](const char* name, const char* type, const char* help, const ValueOf<v1::JobStatus>& value) {
    Family(name, type, help, status.jobs(), labels, value, text);
  };
  text->Begin("samovar_job_state", "gauge", "1 for the state that the job is in.");
  for (const v1::JobStatus& job : status.jobs()) {
    const absl::string_view state = absl::StripPrefix(v1::JobState_Name(job.state()), "JOB_STATE_");
    text->Add({{"job", job.job_id()}, {"state", absl::AsciiStrToLower(state)}}, 1);
  }
  add("samovar_job_iteration", "gauge", "Iterations that all chunks have applied.",
      [](const v1::JobStatus& job) { return static_cast<double>(job.iteration()); });
  add("samovar_job_max_iterations", "gauge", "The solver's max_iter.",
      [](const v1::JobStatus& job) { return static_cast<double>(job.max_iter()); });
  add("samovar_job_loss", "gauge", "Mean of the loss over the solver's average_loss.",
      [](const v1::JobStatus& job) { return job.loss(); });
  add("samovar_job_learning_rate", "gauge", "Learning rate.",
      [](const v1::JobStatus& job) { return job.learning_rate(); });
  add("samovar_job_images_per_second", "gauge", "Records of training a second, over the last seconds.",
      [](const v1::JobStatus& job) { return job.images_per_second(); });
  text->Begin("samovar_job_remaining_seconds", "gauge", "Estimated time to the end, where it is known.");
  for (const v1::JobStatus& job : status.jobs()) {
    if (job.eta_seconds() > 0) text->Add(labels(job), job.eta_seconds());
  }
  add("samovar_job_idle_seconds", "gauge", "Time since an iteration of a running job was last done.",
      [](const v1::JobStatus& job) { return job.idle_seconds(); });
  add("samovar_job_workers", "gauge", "Workers that compute for the job.",
      [](const v1::JobStatus& job) { return static_cast<double>(job.workers()); });
  add("samovar_job_recoveries_total", "counter", "Times that servers were lost and their shares opened again.",
      [](const v1::JobStatus& job) { return static_cast<double>(job.recoveries()); });
  add("samovar_job_repeated_iterations_total", "counter", "Iterations that were computed again after losses.",
      [](const v1::JobStatus& job) { return static_cast<double>(job.repeated_iterations()); });
  add("samovar_job_snapshot_failing", "gauge", "1 if the newest snapshot, or its export, could not be written.",
      [](const v1::JobStatus& job) { return job.snapshot_error().empty() && job.export_error().empty() ? 0.0 : 1.0; });
  text->Begin("samovar_job_staleness_iterations", "histogram",
              "Updates between the pull and the push of a gradient, of the pushes up to the job's last checkpoint.");
  for (const v1::JobStatus& job : status.jobs()) AddStaleness(job, text);
}

void AddServers(const v1::ClusterStatus& status, PrometheusText* text) {
  const auto labels = [](const v1::ServerStatus& server) {
    return PrometheusText::Labels{{"server", server.address()}, {"host", server.host()}};
  };
  const auto add = [&](const char* name, const char* type, const char* help, const ValueOf<v1::ServerStatus>& value) {
    Family(name, type, help, status.servers(), labels, value, text);
  };
  add("samovar_cluster_server_up", "gauge", "0 if the server has been silent for 10 s.",
      [](const v1::ServerStatus& server) { return server.gone() ? 0.0 : 1.0; });
  add("samovar_cluster_server_received_bytes_total", "counter", "Bytes of requests on workers' streams.",
      [](const v1::ServerStatus& server) { return static_cast<double>(server.figures().received_bytes()); });
  add("samovar_cluster_server_sent_bytes_total", "counter", "Bytes of answers on workers' streams.",
      [](const v1::ServerStatus& server) { return static_cast<double>(server.figures().sent_bytes()); });
  add("samovar_cluster_server_applied_pushes_total", "counter", "Chunks of gradients that were applied.",
      [](const v1::ServerStatus& server) { return static_cast<double>(server.figures().applied_pushes()); });
  add("samovar_cluster_server_refused_calls_total", "counter", "Calls that were refused before they did anything.",
      [](const v1::ServerStatus& server) { return static_cast<double>(server.figures().refused_calls()); });
  add("samovar_cluster_server_apply_seconds_total", "counter", "Time that apply threads have worked.",
      [](const v1::ServerStatus& server) { return server.figures().apply_seconds(); });
  add("samovar_cluster_server_parameter_bytes", "gauge", "Bytes of weights, states and frozen copies.",
      [](const v1::ServerStatus& server) { return static_cast<double>(server.figures().parameter_bytes()); });
  add("samovar_cluster_server_disk_free_bytes", "gauge", "Bytes that are free where the server keeps its state.",
      [](const v1::ServerStatus& server) { return static_cast<double>(server.figures().disk_free_bytes()); });
}

void AddWorkers(const v1::ClusterStatus& status, PrometheusText* text) {
  std::map<std::string, int> named;
  for (const v1::WorkerStatus& worker : status.workers()) ++named[worker.name()];
  const auto labels_of = [&named](const v1::WorkerStatus& worker) {
    // Each series once: workers of one name have their numbers with it.
    const bool alone = named.at(worker.name()) == 1;
    return PrometheusText::Labels{
        {"worker", alone ? worker.name() : absl::StrCat(worker.name(), " (", worker.worker_id(), ")")},
        {"host", worker.host()}};
  };
  const auto add = [&](const char* name, const char* type, const char* help, const ValueOf<v1::WorkerStatus>& value) {
    Family(name, type, help, status.workers(), labels_of, value, text);
  };
  add("samovar_cluster_worker_images_per_second", "gauge", "Records of training a second, over the last seconds.",
      [](const v1::WorkerStatus& worker) { return worker.images_per_second(); });
  add("samovar_cluster_worker_records_total", "counter", "Records that were computed in training.",
      [](const v1::WorkerStatus& worker) { return static_cast<double>(worker.figures().records()); });
  add("samovar_cluster_worker_errors_total", "counter", "Work that it could not do.",
      [](const v1::WorkerStatus& worker) { return static_cast<double>(worker.errors()); });
  add("samovar_cluster_worker_slow", "gauge", "1 for a worker that does less than half of what others do.",
      [](const v1::WorkerStatus& worker) { return worker.straggler().empty() ? 0.0 : 1.0; });
  text->Begin("samovar_cluster_worker_staleness_updates", "gauge",
              "Updates between the pull and the push of the worker's gradients: half, 99 of 100, all are at most so.");
  for (const v1::WorkerStatus& worker : status.workers()) {
    const v1::WorkerFigures& figures = worker.figures();
    if (figures.staleness_pushes() == 0) continue;
    const auto quantile = [&](const char* quantile, uint64_t value) {
      PrometheusText::Labels labels = labels_of(worker);
      labels.emplace_back("quantile", quantile);
      text->Add(labels, static_cast<double>(value));
    };
    quantile("0.5", figures.staleness_p50());
    quantile("0.99", figures.staleness_p99());
    quantile("1", figures.staleness_max());
  }
  text->Begin("samovar_cluster_worker_activity_seconds_total", "counter", "Where a worker's time goes, by activity.");
  for (const v1::WorkerStatus& worker : status.workers()) {
    const v1::WorkerFigures& figures = worker.figures();
    const auto seconds = [&](const char* activity, double value) {
      PrometheusText::Labels labels = labels_of(worker);
      labels.emplace_back("activity", activity);
      text->Add(labels, value);
    };
    seconds("compute", figures.compute_seconds());
    seconds("feed_wait", figures.feed_wait_seconds());
    seconds("push_wait", figures.push_wait_seconds());
    seconds("pull_wait", figures.pull_wait_seconds());
    seconds("prepare", figures.prepare_seconds());
    seconds("test", figures.test_seconds());
  }
}

}  // namespace

std::string ClusterMetrics(const v1::ClusterStatus& status) {
  PrometheusText text;
  text.Begin("samovar_cluster_servers", "gauge", "Servers that have registered.");
  text.Add({}, status.servers_size());
  text.Begin("samovar_cluster_workers", "gauge", "Workers that have joined.");
  text.Add({}, status.workers_size());
  text.Begin("samovar_cluster_problems", "gauge", "Things that are wrong at present, see the status.");
  text.Add({}, status.problems_size());
  text.Begin("samovar_cluster_epoch", "gauge", "How often a coordinator has begun.");
  text.Add({}, static_cast<double>(status.epoch()));
  AddJobs(status, &text);
  AddServers(status, &text);
  AddWorkers(status, &text);
  return text.text();
}

}  // namespace samovar
