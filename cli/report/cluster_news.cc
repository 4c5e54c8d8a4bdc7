#include "cli/report/cluster_news.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/report/status_table.h"
#include "common/base/printable.h"

namespace samovar {
namespace {

// A server that has been silent for longer is told in the problems.
constexpr double kQuietSeconds = 3;
// Workers that come and go for weeks do not fill the memory.
constexpr size_t kMaxKnown = 10000;

// The problem without the numbers that stand alone, "for 12 s"; those in names, "worker-1 (3)", stay.
std::string KeyOf(const std::string& problem) {
  std::string key;
  for (size_t i = 0; i < problem.size(); ++i) {
    const bool digit = absl::ascii_isdigit(static_cast<unsigned char>(problem[i]));
    const bool alone = digit && i > 0 && (problem[i - 1] == ' ' || key.empty() || key.back() == '#');
    if (!alone)
      key += problem[i];
    else if (key.empty() || key.back() != '#')
      key += '#';
  }
  return key;
}

std::string StateOf(const v1::JobStatus& job) {
  std::string text = StateText(job.state());
  if (job.state() == v1::JOB_STATE_RUNNING && job.cause().empty()) return text;
  if (!job.cause().empty()) absl::StrAppend(&text, ": ", Printable(job.cause()));
  return text;
}

}  // namespace

std::vector<std::string> ClusterNews::Take(const v1::ClusterStatus& cluster) {
  std::vector<std::string> lines;
  if (first_ || cluster.epoch() != epoch_) {
    lines.push_back(absl::StrCat("cluster of coordinator ", cluster.coordinator(), ", samovar ", cluster.version(),
                                 ", epoch ", cluster.epoch()));
  }
  epoch_ = cluster.epoch();
  TakeMembers(cluster, &lines);
  TakeJobs(cluster, &lines);
  TakeProblems(cluster, &lines);
  first_ = false;
  return lines;
}

void ClusterNews::TakeMembers(const v1::ClusterStatus& cluster, std::vector<std::string>* lines) {
  std::set<std::string> now;
  std::set<std::string> silent;
  for (const v1::ServerStatus& server : cluster.servers()) {
    (server.silent_seconds() <= kQuietSeconds ? now : silent)
        .insert(absl::StrCat("server ", server.address(), server.host().empty() ? "" : " on ", server.host()));
  }
  for (const v1::WorkerStatus& worker : cluster.workers()) {
    now.insert(absl::StrCat("worker ", worker.name(), " (", worker.worker_id(), ")",
                            worker.host().empty() ? "" : " on ", worker.host()));
  }
  for (const std::string& member : now) {
    if (members_.contains(member)) continue;
    lines->push_back(absl::StrCat(member, first_ ? " is there" : known_.contains(member) ? " is back" : " has joined"));
  }
  for (const std::string& member : members_) {
    if (!now.contains(member)) lines->push_back(absl::StrCat(member, " is not there any more"));
  }
  if (known_.size() > kMaxKnown) known_.clear();
  known_.merge(silent);
  known_.insert(now.begin(), now.end());
  members_ = std::move(now);
}

void ClusterNews::TakeJobs(const v1::ClusterStatus& cluster, std::vector<std::string>* lines) {
  std::map<std::string, std::string> now;
  // They come newest first.
  for (auto job = cluster.jobs().rbegin(); job != cluster.jobs().rend(); ++job) {
    const std::string state = StateOf(*job);
    // A cause that has only become older is no news.
    const std::string key = KeyOf(state);
    now[job->job_id()] = key;
    const auto before = jobs_.find(job->job_id());
    if (before != jobs_.end() && before->second == key) continue;
    lines->push_back(absl::StrCat("job ", job->job_id(), " is ", state, ", at iteration ", job->iteration(), "/",
                                  job->max_iter(),
                                  job->completed_iterations() > 0 ? absl::StrFormat(", loss %.4g", job->loss()) : ""));
  }
  for (const auto& [id, state] : jobs_) {
    if (!now.contains(id)) lines->push_back(absl::StrCat("job ", id, " is forgotten"));
  }
  jobs_ = std::move(now);
}

void ClusterNews::TakeProblems(const v1::ClusterStatus& cluster, std::vector<std::string>* lines) {
  std::map<std::string, std::string> now;
  for (const std::string& problem : cluster.problems()) {
    const std::string key = KeyOf(problem);
    if (!problems_.contains(key)) lines->push_back(absl::StrCat("problem: ", Printable(problem)));
    now[key] = problem;
  }
  for (const auto& [key, problem] : problems_) {
    if (!now.contains(key)) lines->push_back(absl::StrCat("no longer: ", Printable(problem)));
  }
  problems_ = std::move(now);
}

}  // namespace samovar
