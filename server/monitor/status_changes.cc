#include "server/monitor/status_changes.h"

#include <utility>

namespace samovar {
namespace {

// Each of these grows with the time alone.
std::string WithoutAges(v1::ServerStatus server) {
  server.clear_silent_seconds();
  server.clear_rate_seconds();
  v1::ServerFigures* const figures = server.mutable_figures();
  if (figures->has_snapshot_age_seconds()) figures->set_snapshot_age_seconds(0);
  figures->clear_last_error_age_seconds();
  figures->clear_cpu_seconds();
  figures->clear_resident_bytes();
  return server.SerializeAsString();
}

std::string WithoutAges(v1::WorkerStatus worker) {
  worker.clear_silent_seconds();
  worker.clear_rate_seconds();
  worker.clear_cpu_share();
  worker.mutable_figures()->clear_activity_seconds();
  worker.mutable_figures()->clear_cpu_seconds();
  worker.mutable_figures()->clear_resident_bytes();
  return worker.SerializeAsString();
}

std::string WithoutAges(v1::JobStatus job) {
  job.clear_seconds();
  job.clear_idle_seconds();
  job.clear_eta_seconds();
  job.clear_mean_images_per_second();
  return job.SerializeAsString();
}

// Leaves those entries that `seen` does not have as they are, and takes them over there. Keys of `seen` that are no
// more go to `removed`.
template <typename Key, typename Entry, typename KeyOf, typename Removed>
void Reduce(google::protobuf::RepeatedPtrField<Entry>* entries, const KeyOf& key_of, std::map<Key, std::string>* seen,
            Removed* removed) {
  std::map<Key, std::string> now;
  google::protobuf::RepeatedPtrField<Entry> changed;
  for (Entry& entry : *entries) {
    std::string text = WithoutAges(entry);
    const auto before = seen->find(key_of(entry));
    const bool same = before != seen->end() && before->second == text;
    now[key_of(entry)] = std::move(text);
    if (!same) *changed.Add() = std::move(entry);
  }
  for (const auto& [key, text] : *seen) {
    if (!now.contains(key)) *removed->Add() = key;
  }
  seen->swap(now);
  entries->Swap(&changed);
}

}  // namespace

std::optional<v1::ClusterStatus> StatusChanges::Next(v1::ClusterStatus status) {
  Reduce(
      status.mutable_servers(), [](const v1::ServerStatus& server) { return server.address(); }, &servers_,
      status.mutable_removed_servers());
  Reduce(
      status.mutable_workers(), [](const v1::WorkerStatus& worker) { return worker.worker_id(); }, &workers_,
      status.mutable_removed_workers());
  Reduce(
      status.mutable_jobs(), [](const v1::JobStatus& job) { return job.job_id(); }, &jobs_,
      status.mutable_removed_jobs());
  v1::ClusterStatus rest = status;
  rest.clear_servers();
  rest.clear_workers();
  rest.clear_jobs();
  rest.clear_removed_servers();
  rest.clear_removed_workers();
  rest.clear_removed_jobs();
  rest.clear_uptime_seconds();
  rest.clear_unix_ms();
  std::string text = rest.SerializeAsString();
  const bool same = !std::exchange(first_, false) && text == rest_ && status.servers().empty() &&
                    status.workers().empty() && status.jobs().empty() && status.removed_servers().empty() &&
                    status.removed_workers().empty() && status.removed_jobs().empty();
  rest_ = std::move(text);
  return same ? std::nullopt : std::optional(std::move(status));
}

}  // namespace samovar
