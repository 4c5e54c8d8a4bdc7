#include "server/cluster/problems.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/cluster/membership.h"

namespace samovar {
namespace {

// A job without an iteration for so long is told to stand still, once its rate has fallen to 0.
constexpr double kStandstillSeconds = 5;
// Something that happened so long ago is not at present.
constexpr double kRecentSeconds = 60;
// A worker that has had no answer from a server for so long is cut off from it.
constexpr double kCutOffSeconds = 3;
// A disk with less room than this, and less than one part in a hundred, is nearly full.
constexpr uint64_t kLittleRoom = uint64_t{1} << 30;
constexpr double kQuietServerSeconds = 3;

double SecondsSince(uint64_t unix_ms, const v1::ClusterStatus& status) {
  return static_cast<double>(status.unix_ms() - std::min(status.unix_ms(), unix_ms)) / 1000;
}

bool IsRecent(uint64_t unix_ms, const v1::ClusterStatus& status) {
  return unix_ms != 0 && SecondsSince(unix_ms, status) < kRecentSeconds;
}

void AddJobs(const v1::ClusterStatus& status, std::vector<std::string>* problems) {
  for (const v1::JobStatus& job : status.jobs()) {
    const std::string name = absl::StrCat("job ", job.job_id());
    const bool waits =
        job.state() == v1::JOB_STATE_QUEUED && SecondsSince(job.submitted_unix_ms(), status) > kStandstillSeconds;
    if ((job.state() == v1::JOB_STATE_RUNNING || waits) && !job.cause().empty()) {
      problems->push_back(absl::StrCat(name, waits ? " has not begun: " : ": ", job.cause()));
    } else if (job.state() == v1::JOB_STATE_RUNNING && job.images_per_second() == 0 &&
               job.idle_seconds() > kStandstillSeconds) {
      problems->push_back(absl::StrFormat("%s stands still: no iteration for %.0f s", name, job.idle_seconds()));
    } else if (job.state() == v1::JOB_STATE_FAILED && IsRecent(job.ended_unix_ms(), status)) {
      problems->push_back(absl::StrCat(name, " has failed: ", job.cause()));
    }
    if (job.state() != v1::JOB_STATE_RUNNING) continue;
    if (!job.snapshot_error().empty()) problems->push_back(absl::StrCat(name, ": ", job.snapshot_error()));
    if (!job.export_error().empty()) problems->push_back(absl::StrCat(name, ": ", job.export_error()));
  }
}

// Whether a job that is not ended has a share on the server, or waits for servers.
bool IsNeeded(const v1::ServerStatus& server, const v1::ClusterStatus& status) {
  return std::any_of(status.jobs().begin(), status.jobs().end(), [&](const v1::JobStatus& job) {
    if (job.state() == v1::JOB_STATE_QUEUED) return true;
    return job.state() == v1::JOB_STATE_RUNNING &&
           std::find(job.servers().begin(), job.servers().end(), server.address()) != job.servers().end();
  });
}

// Whether the coordinator has heard the server lately.
bool IsHeard(const std::string& address, const v1::ClusterStatus& status) {
  return std::any_of(status.servers().begin(), status.servers().end(), [&](const v1::ServerStatus& server) {
    return server.address() == address && server.silent_seconds() <= kQuietServerSeconds;
  });
}

// Whether a worker of its name is there again on its machine.
bool IsBack(const v1::LostMember& lost, const v1::ClusterStatus& status) {
  return std::any_of(status.workers().begin(), status.workers().end(), [&](const v1::WorkerStatus& worker) {
    return worker.host() == lost.host() && worker.joined_unix_ms() >= lost.lost_unix_ms() &&
           absl::StartsWith(lost.name(), absl::StrCat("worker ", worker.name(), " ("));
  });
}

void AddServers(const v1::ClusterStatus& status, std::vector<std::string>* problems) {
  for (const v1::ServerStatus& server : status.servers()) {
    const std::string name = absl::StrCat("server ", server.address());
    if (server.silent_seconds() > kQuietServerSeconds) {
      // One that was ended or replaced long ago is missed by nobody.
      if (server.silent_seconds() > kRecentSeconds && !IsNeeded(server, status)) continue;
      problems->push_back(absl::StrFormat("%s has been silent for %.0f s", name, server.silent_seconds()));
      continue;
    }
    const v1::ServerFigures& figures = server.figures();
    if (!figures.last_error().empty() && figures.last_error_age_seconds() < kRecentSeconds)
      problems->push_back(absl::StrCat(name, ": ", figures.last_error()));
    if (figures.disk_bytes() > 0 && figures.disk_free_bytes() < std::min(kLittleRoom, figures.disk_bytes() / 100)) {
      problems->push_back(absl::StrFormat("%s: its disk is nearly full, %d MB of %d MB are free", name,
                                          figures.disk_free_bytes() >> 20, figures.disk_bytes() >> 20));
    }
  }
}

void AddWorkers(const v1::ClusterStatus& status, std::vector<std::string>* problems) {
  std::vector<std::string> slow;
  for (const v1::WorkerStatus& worker : status.workers()) {
    const std::string name = absl::StrCat("worker ", worker.name(), " (", worker.worker_id(), ")");
    if (worker.silent_seconds() > kQuietServerSeconds) {
      problems->push_back(absl::StrFormat("%s has been silent for %.0f s", name, worker.silent_seconds()));
    } else if (IsRecent(worker.last_error_unix_ms(), status)) {
      problems->push_back(absl::StrFormat("%s failed %.0f s ago: %s%s", name,
                                          SecondsSince(worker.last_error_unix_ms(), status), worker.last_error(),
                                          worker.errors() > 1 ? absl::StrCat(" (", worker.errors(), " times)") : ""));
    }
    if (worker.unanswered_seconds() >= kCutOffSeconds && IsHeard(worker.unanswered_by(), status)) {
      problems->push_back(absl::StrFormat(
          "%s has had no answer from server %s for %.0f s, though the coordinator hears both: look at the network "
          "between %s and that server",
          name, worker.unanswered_by(), worker.unanswered_seconds(),
          worker.host().empty() ? "the worker" : worker.host()));
    }
    if (!worker.straggler().empty()) slow.push_back(absl::StrCat(name, " is ", worker.straggler()));
  }
  for (const v1::LostMember& lost : status.lost()) {
    // One that has left in good order, or is back, is not missed.
    if (!IsRecent(lost.lost_unix_ms(), status) || lost.reason() == Membership::kHasLeft || IsBack(lost, status))
      continue;
    problems->push_back(absl::StrFormat("%s%s, %.0f s ago: %s%s", lost.name(),
                                        lost.host().empty() ? "" : absl::StrCat(" on ", lost.host()),
                                        SecondsSince(lost.lost_unix_ms(), status), lost.reason(),
                                        lost.times() > 1 ? absl::StrCat(" (", lost.times(), " times)") : ""));
  }
  problems->insert(problems->end(), slow.begin(), slow.end());
}

}  // namespace

std::vector<std::string> ProblemsOf(const v1::ClusterStatus& status) {
  std::vector<std::string> problems;
  AddJobs(status, &problems);
  AddServers(status, &problems);
  AddWorkers(status, &problems);
  return problems;
}

}  // namespace samovar
