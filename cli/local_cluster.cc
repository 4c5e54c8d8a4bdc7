#include "cli/local_cluster.h"

#include <signal.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/run_directory.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"

namespace samovar {
namespace {

// A worker that lived so long starts anew with the first delay.
constexpr absl::Duration kLongLife = absl::Seconds(10);

std::string Obituary(const ChildProcess& process) {
  const std::string last = LastLine(process.log_path());
  return absl::StrCat(process.name(), " (process ", process.pid(), ") ended with ", process.DescribeEnd(), "; its log ",
                      process.log_path(), last.empty() ? " is empty" : absl::StrCat(" ends with: ", last));
}

}  // namespace

absl::StatusOr<std::unique_ptr<LocalCluster>> LocalCluster::Start(Options options) {
  std::unique_ptr<LocalCluster> cluster(new LocalCluster(std::move(options)));
  SAMOVAR_RETURN_IF_ERROR(cluster->StartAll());
  return cluster;
}

LocalCluster::~LocalCluster() {
  Shutdown([] { return false; });
}

absl::Status LocalCluster::StartAll() {
  SAMOVAR_RETURN_IF_ERROR(StartServer(0));
  SAMOVAR_ASSIGN_OR_RETURN(coordinator_, AwaitReady(servers_.front().get()));
  for (int i = 1; i < options_.servers; ++i) SAMOVAR_RETURN_IF_ERROR(StartServer(i));
  for (int i = 0; i < options_.workers; ++i) {
    const std::string name = absl::StrCat("worker-", i);
    SAMOVAR_ASSIGN_OR_RETURN(std::unique_ptr<ChildProcess> process, StartWorker(name, /*reports_ready=*/true));
    const uint64_t key = static_cast<uint64_t>(process->pid());
    const Backoff backoff(options_.first_restart_delay, options_.last_restart_delay, key);
    workers_.push_back({name, std::move(process), backoff, SteadyNow(), absl::InfiniteFuture()});
  }
  for (size_t i = 1; i < servers_.size(); ++i) SAMOVAR_RETURN_IF_ERROR(AwaitReady(servers_[i].get()).status());
  for (const Worker& worker : workers_) SAMOVAR_RETURN_IF_ERROR(AwaitReady(worker.process.get()).status());
  return absl::OkStatus();
}

absl::StatusOr<std::string> LocalCluster::AwaitReady(ChildProcess* process) {
  return process->AwaitReady(SteadyNow() + options_.start_timeout, options_.interrupted);
}

absl::Status LocalCluster::StartServer(int index) {
  ChildProcess::Options child;
  child.name = absl::StrCat("server-", index);
  child.program = absl::StrCat(options_.program_dir, "/samovar-server");
  child.arguments = {"--listen", "127.0.0.1:0"};
  if (index == 0) {
    // What is to be resumed, the run's directory says.
    child.arguments.insert(child.arguments.end(), {"--coordinator", "--forget-jobs"});
  } else {
    child.arguments.insert(child.arguments.end(), {"--join", coordinator_});
  }
  child.arguments.insert(child.arguments.end(), {"--state", RunDirectory::ServerDir(options_.state_dir, index),
                                                 "--apply-threads", absl::StrCat(options_.apply_threads), "--log-level",
                                                 options_.log_level, "--die-with-parent"});
  child.reports_ready = true;
  child.log_path = RunDirectory::LogPath(options_.state_dir, child.name);
  child.waker = options_.waker;
  SAMOVAR_ASSIGN_OR_RETURN(std::unique_ptr<ChildProcess> process, ChildProcess::Start(child));
  servers_.push_back(std::move(process));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<ChildProcess>> LocalCluster::StartWorker(const std::string& name, bool reports_ready) {
  ChildProcess::Options child;
  child.name = name;
  child.program = absl::StrCat(options_.program_dir, "/samovar-worker");
  child.arguments = {
      "--coordinator", coordinator_,       "--name",           name, "--threads", absl::StrCat(options_.threads),
      "--channels",    absl::StrCat(options_.channels), "--log-level", options_.log_level, "--die-with-parent"};
  child.reports_ready = reports_ready;
  child.log_path = RunDirectory::LogPath(options_.state_dir, name);
  child.waker = options_.waker;
  return ChildProcess::Start(child);
}

absl::Status LocalCluster::NoteDeath(Worker* worker, absl::Time now) {
  const std::string obituary = Obituary(*worker->process);
  if (++deaths_ >= options_.max_deaths) {
    return absl::UnavailableError(
        absl::StrCat("workers died ", deaths_, " times while the job got nowhere; the last: ", obituary));
  }
  if (now - worker->started >= kLongLife) worker->backoff.Reset();
  const absl::Duration delay = worker->backoff.Next();
  worker->process.reset();
  worker->restart_at = now + delay;
  if (options_.on_event) {
    options_.on_event(absl::StrCat(obituary, "; starting it again in ", absl::ToInt64Milliseconds(delay), " ms"));
  }
  return absl::OkStatus();
}

absl::Status LocalCluster::Supervise(absl::Time now, uint64_t progress) {
  if (progress > progress_) {
    progress_ = progress;
    deaths_ = 0;
  }
  for (const std::unique_ptr<ChildProcess>& server : servers_) {
    if (server->ended()) return absl::UnavailableError(Obituary(*server));
  }
  for (Worker& worker : workers_) {
    if (worker.process != nullptr && worker.process->ended()) SAMOVAR_RETURN_IF_ERROR(NoteDeath(&worker, now));
    if (worker.process != nullptr || now < worker.restart_at) continue;
    SAMOVAR_ASSIGN_OR_RETURN(worker.process, StartWorker(worker.name, /*reports_ready=*/false));
    worker.started = now;
    worker.restart_at = absl::InfiniteFuture();
  }
  return absl::OkStatus();
}

absl::Time LocalCluster::next_restart() const {
  absl::Time next = absl::InfiniteFuture();
  for (const Worker& worker : workers_) next = std::min(next, worker.restart_at);
  return next;
}

void LocalCluster::EndAll(const std::vector<ChildProcess*>& processes, const std::function<bool()>& hurry) {
  for (ChildProcess* process : processes) process->Signal(SIGTERM);
  const absl::Time deadline = SteadyNow() + options_.end_timeout;
  const auto all_ended = [&] {
    return std::all_of(processes.begin(), processes.end(),
                       [](const ChildProcess* process) { return process->ended(); });
  };
  while (!all_ended() && SteadyNow() < deadline && !hurry()) options_.waker->Wait(deadline);
}

void LocalCluster::Shutdown(const std::function<bool()>& hurry) {
  std::vector<ChildProcess*> processes;
  for (const Worker& worker : workers_) {
    if (worker.process != nullptr) processes.push_back(worker.process.get());
  }
  EndAll(processes, hurry);
  // Destructors kill and reap what is left.
  workers_.clear();
  processes.clear();
  for (const std::unique_ptr<ChildProcess>& server : servers_) processes.push_back(server.get());
  EndAll(processes, hurry);
  servers_.clear();
}

}  // namespace samovar
