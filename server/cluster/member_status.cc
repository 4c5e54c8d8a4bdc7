#include "server/cluster/member_status.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/printable.h"

namespace samovar {
namespace {

// An activity that has gone on for so long says more than the shares of the last seconds.
constexpr double kLongSeconds = 2;
// A straggler's figures are of nearly a whole window.
constexpr double kLeastSeconds = 9;
constexpr double kSlow = 0.5;

double Rate(double newest, double oldest, double seconds) {
  return seconds <= 0 ? 0 : std::max(0.0, newest - oldest) / seconds;
}

// The words for a worker in this activity.
std::string ActivityText(v1::WorkerActivity activity, const v1::WorkerWait& wait) {
  std::string silent;
  for (const v1::SilentServer& server : wait.silent()) {
    absl::StrAppend(&silent, silent.empty() ? "server " : " and ", Printable(server.address(), kMaxPeerNameBytes),
                    ", silent for ", server.silent_ms() / 1000, " s");
  }
  switch (activity) {
    case v1::WORKER_ACTIVITY_PREPARING:
      return "prepares a job: makes its net, opens its data";
    case v1::WORKER_ACTIVITY_COMPUTING:
      return "computes";
    case v1::WORKER_ACTIVITY_WAITING_FOR_RECORDS:
      return "waits for records to be read and decoded";
    case v1::WORKER_ACTIVITY_WAITING_FOR_PUSH:
      return absl::StrCat("waits for its gradient to be taken", silent.empty() ? "" : " by ", silent);
    case v1::WORKER_ACTIVITY_WAITING_FOR_WEIGHTS:
      if (silent.empty() && wait.for_workers()) return "waits for other workers' gradients";
      return absl::StrCat("waits for weights", silent.empty() ? "" : " of ", silent);
    case v1::WORKER_ACTIVITY_TESTING:
      return "tests";
    case v1::WORKER_ACTIVITY_RESTING:
      return "rests after a failure";
    default:
      return "idle";
  }
}

std::string StateText(const v1::WorkerStatus& status, const v1::WorkerWait& wait, const std::string& idle_reason) {
  if (status.silent_seconds() > absl::ToDoubleSeconds(kFiguresTimeout)) {
    return absl::StrFormat("has not been heard of for %.0f s", status.silent_seconds());
  }
  const v1::WorkerFigures& figures = status.figures();
  if (figures.activity() == v1::WORKER_ACTIVITY_RESTING) {
    return absl::StrCat("failing: ", status.last_error());
  }
  if (figures.activity_seconds() >= kLongSeconds) {
    if (figures.activity() == v1::WORKER_ACTIVITY_IDLE) return absl::StrCat("idle: ", idle_reason);
    return absl::StrFormat("%s, for %.0f s", ActivityText(figures.activity(), wait), figures.activity_seconds());
  }
  const std::pair<double, v1::WorkerActivity> shares[] = {
      {status.compute_share(), v1::WORKER_ACTIVITY_COMPUTING},
      {status.feed_wait_share(), v1::WORKER_ACTIVITY_WAITING_FOR_RECORDS},
      {status.push_wait_share(), v1::WORKER_ACTIVITY_WAITING_FOR_PUSH},
      {status.pull_wait_share(), v1::WORKER_ACTIVITY_WAITING_FOR_WEIGHTS},
      {status.prepare_share(), v1::WORKER_ACTIVITY_PREPARING},
      {status.test_share(), v1::WORKER_ACTIVITY_TESTING}};
  double sum = 0;
  for (const auto& [share, activity] : shares) sum += share;
  const auto& [most, activity] = *std::max_element(std::begin(shares), std::end(shares));
  if (most <= 0 || 1 - sum > most) {
    return figures.activity() == v1::WORKER_ACTIVITY_IDLE ? absl::StrCat("idle: ", idle_reason)
                                                          : ActivityText(figures.activity(), wait);
  }
  return ActivityText(activity, wait);
}

// Images a second while a worker was not waiting for weights: what it would do if others kept up with it. Negative: not
// known.
double OwnRate(const v1::WorkerStatus& worker) {
  const double busy = worker.compute_share() + worker.feed_wait_share() + worker.push_wait_share();
  if (worker.rate_seconds() < kLeastSeconds || busy < 0.05) return -1;
  return worker.images_per_second() / busy;
}

// "12.5", "23100"
std::string RateText(double rate) { return absl::StrFormat(rate < 100 ? "%.3g" : "%.0f", rate); }

std::string SlownessText(const v1::WorkerStatus& worker, double own, double middle) {
  std::string text = absl::StrCat("slow: ", RateText(own), " images/s while it works, others ", RateText(middle));
  const bool waits = std::max(worker.feed_wait_share(), worker.push_wait_share()) >= worker.compute_share();
  // A process that is held back is slow in whatever it does.
  if (worker.cpu_share() < kSlow * worker.compute_share()) {
    absl::StrAppendFormat(&text, "; it gets %.0f %% of the processors that its %d %s could use",
                          100 * worker.cpu_share(), worker.threads(), worker.threads() == 1 ? "thread" : "threads");
  } else if (waits && worker.feed_wait_share() >= worker.push_wait_share()) {
    absl::StrAppendFormat(&text, "; it waits for records %.0f %% of the time", 100 * worker.feed_wait_share());
  } else if (waits) {
    absl::StrAppendFormat(&text, "; servers take its gradients slowly, it waits for them %.0f %% of the time",
                          100 * worker.push_wait_share());
  }
  return text;
}

}  // namespace

v1::ServerStatus StatusOf(const Membership::Server& server, const StatusTime& time) {
  v1::ServerStatus status;
  status.set_address(server.registration.address());
  status.set_apply_threads(server.registration.apply_threads());
  status.set_pid(server.registration.pid());
  status.set_version(Printable(server.registration.version(), kMaxPeerNameBytes));
  status.set_host(Printable(server.registration.host(), kMaxPeerNameBytes));
  status.set_http(Printable(server.registration.http(), kMaxPeerNameBytes));
  status.set_joined_unix_ms(time.UnixMs(server.joined));
  *status.mutable_figures() = server.registration.figures();
  status.mutable_figures()->set_last_error(Printable(status.figures().last_error()));
  status.set_silent_seconds(absl::ToDoubleSeconds(time.now - server.heard));
  status.set_gone(time.now - server.heard > Membership::kServerTimeout);
  if (server.figures.empty() || time.now - server.heard > kFiguresTimeout) return status;
  const double seconds = server.figures.seconds();
  const v1::ServerFigures& newest = server.figures.newest().counts;
  const v1::ServerFigures& oldest = server.figures.oldest().counts;
  const auto rate = [seconds](uint64_t now, uint64_t before) {
    return Rate(static_cast<double>(now), static_cast<double>(before), seconds);
  };
  status.set_rate_seconds(seconds);
  status.set_pushes_per_second(rate(newest.applied_pushes(), oldest.applied_pushes()));
  status.set_pulls_per_second(rate(newest.pulls(), oldest.pulls()));
  status.set_received_bytes_per_second(rate(newest.received_bytes(), oldest.received_bytes()));
  status.set_sent_bytes_per_second(rate(newest.sent_bytes(), oldest.sent_bytes()));
  status.set_apply_load(Rate(newest.apply_seconds(), oldest.apply_seconds(), seconds));
  return status;
}

v1::LostMember StatusOf(const Membership::Lost& lost, const StatusTime& time) {
  v1::LostMember status;
  status.set_name(lost.name);
  status.set_host(Printable(lost.host, kMaxPeerNameBytes));
  status.set_reason(Printable(lost.reason));
  status.set_lost_unix_ms(time.UnixMs(lost.when));
  status.set_times(lost.times);
  return status;
}

v1::WorkerStatus StatusOf(const Membership::Worker& worker, const std::string& idle_reason, const StatusTime& time) {
  v1::WorkerStatus status;
  status.set_worker_id(worker.id);
  status.set_name(worker.description.name());
  status.set_pid(worker.description.pid());
  status.set_threads(worker.description.threads());
  status.set_isa(worker.description.isa());
  status.set_version(worker.description.version());
  status.set_host(worker.description.host());
  status.set_http(worker.description.http());
  status.set_joined_unix_ms(time.UnixMs(worker.joined));
  status.set_silent_seconds(absl::ToDoubleSeconds(time.now - worker.heard));
  status.set_iterations_done(worker.iterations_done);
  status.set_errors(worker.errors);
  if (worker.errors > 0) {
    status.set_last_error(Printable(worker.last_error));
    status.set_last_error_unix_ms(time.UnixMs(worker.last_error_at));
  }
  if (!worker.figures.empty()) {
    const v1::WorkerFigures& newest = worker.figures.newest().counts;
    const v1::WorkerFigures& oldest = worker.figures.oldest().counts;
    *status.mutable_figures() = newest;
    if (time.now - worker.heard <= kFiguresTimeout) {
      const double seconds = worker.figures.seconds();
      status.set_rate_seconds(seconds);
      status.set_images_per_second(
          Rate(static_cast<double>(newest.records()), static_cast<double>(oldest.records()), seconds));
      const auto share = [seconds](double now, double before) { return std::min(1.0, Rate(now, before, seconds)); };
      status.set_compute_share(share(newest.compute_seconds(), oldest.compute_seconds()));
      status.set_feed_wait_share(share(newest.feed_wait_seconds(), oldest.feed_wait_seconds()));
      status.set_push_wait_share(share(newest.push_wait_seconds(), oldest.push_wait_seconds()));
      status.set_pull_wait_share(share(newest.pull_wait_seconds(), oldest.pull_wait_seconds()));
      status.set_prepare_share(share(newest.prepare_seconds(), oldest.prepare_seconds()));
      status.set_test_share(share(newest.test_seconds(), oldest.test_seconds()));
      status.set_cpu_share(Rate(newest.cpu_seconds(), oldest.cpu_seconds(), seconds) /
                           std::max(1u, worker.description.threads()));
    }
  }
  for (const v1::SilentServer& server : worker.wait.silent()) {
    const double seconds = static_cast<double>(server.silent_ms()) / 1000;
    if (seconds <= status.unanswered_seconds()) continue;
    status.set_unanswered_by(Printable(server.address(), kMaxPeerNameBytes));
    status.set_unanswered_seconds(seconds);
  }
  status.set_state(StateText(status, worker.wait, idle_reason));
  return status;
}

void FindStragglers(const std::map<uint64_t, uint64_t>& job_of, v1::ClusterStatus* status) {
  std::map<uint64_t, std::vector<v1::WorkerStatus*>> workers_of;
  for (v1::WorkerStatus& worker : *status->mutable_workers()) {
    const auto job = job_of.find(worker.worker_id());
    if (job != job_of.end() && OwnRate(worker) >= 0) workers_of[job->second].push_back(&worker);
  }
  for (const auto& [job, workers] : workers_of) {
    if (workers.size() < 2) continue;
    std::vector<double> rates;
    for (const v1::WorkerStatus* worker : workers) rates.push_back(OwnRate(*worker));
    std::sort(rates.begin(), rates.end());
    for (v1::WorkerStatus* worker : workers) {
      const double own = OwnRate(*worker);
      // The median of the others: the place of this one in `rates` is left out; of two in the middle the lower.
      const size_t place = static_cast<size_t>(std::lower_bound(rates.begin(), rates.end(), own) - rates.begin());
      const size_t other = (rates.size() - 2) / 2;
      const double middle = rates[other < place ? other : other + 1];
      if (own < kSlow * middle) worker->set_straggler(SlownessText(*worker, own, middle));
    }
  }
}

}  // namespace samovar
