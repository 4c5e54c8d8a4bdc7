#include "cli/run/local_cluster.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/run/run_directory.h"
#include "common/base/clock.h"
#include "common/base/memory_limit.h"
#include "common/base/status_macros.h"

namespace samovar {
namespace {

// A process that lived so long starts anew with the first delay.
constexpr absl::Duration kLongLife = absl::Seconds(10);

std::string DeathReport(const ChildProcess& process) {
  const std::string last = LastLine(process.log_path());
  return absl::StrCat(process.name(), " (process ", process.pid(), ") ended with ", process.DescribeEnd(), "; its log ",
                      process.log_path(), last.empty() ? " is empty" : absl::StrCat(" ends with: ", last));
}

// A server takes three quarters of the memory that this machine leaves a process, unless a flag says otherwise; several
// servers share them.
uint64_t ParameterMebibytes(int servers) {
  return std::max<uint64_t>(MemoryLimitBytes() / 4 * 3 / static_cast<uint64_t>(servers) >> 20, 1);
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

LocalCluster::Member LocalCluster::MakeMember(const std::string& name) const {
  // So that those that die together do not come back together.
  const uint64_t key = std::hash<std::string>{}(absl::StrCat(name, " ", getpid()));
  const Backoff backoff(options_.first_restart_delay, options_.last_restart_delay, key);
  return {name, backoff, nullptr, absl::InfinitePast(), absl::InfiniteFuture(), /*address=*/""};
}

absl::Status LocalCluster::StartAll() {
  for (int i = 0; i < options_.servers; ++i) servers_.push_back(MakeMember(absl::StrCat("server-", i)));
  for (int i = 0; i < options_.workers; ++i) workers_.push_back(MakeMember(absl::StrCat("worker-", i)));
  SAMOVAR_RETURN_IF_ERROR(StartServer(0, /*again=*/false));
  SAMOVAR_ASSIGN_OR_RETURN(coordinator_, AwaitReady(servers_[0]));
  servers_[0].address = coordinator_;
  for (size_t i = 1; i < servers_.size(); ++i) SAMOVAR_RETURN_IF_ERROR(StartServer(i, /*again=*/false));
  for (size_t i = 0; i < workers_.size(); ++i) SAMOVAR_RETURN_IF_ERROR(StartWorker(i, /*again=*/false));
  for (size_t i = 1; i < servers_.size(); ++i) {
    SAMOVAR_ASSIGN_OR_RETURN(servers_[i].address, AwaitReady(servers_[i]));
  }
  for (const Member& worker : workers_) SAMOVAR_RETURN_IF_ERROR(AwaitReady(worker).status());
  return absl::OkStatus();
}

absl::StatusOr<std::string> LocalCluster::AwaitReady(const Member& member) {
  return member.process->AwaitReady(SteadyNow() + options_.start_timeout, options_.interrupted);
}

absl::Status LocalCluster::Start(Member* member, const std::string& program, std::vector<std::string> arguments,
                                 bool reports_ready) {
  const bool is_coordinator = !servers_.empty() && member == &servers_[0];
  const std::string http = is_coordinator && !dashboard_.empty() ? dashboard_ : "none";
  ChildProcess::Options child;
  child.name = member->name;
  child.program = absl::StrCat(options_.program_dir, "/", program);
  child.arguments = std::move(arguments);
  child.arguments.insert(child.arguments.end(),
                         {"--log-level", options_.log_level, "--die-with-parent", "--http", http});
  child.reports_ready = reports_ready;
  child.log_path = RunDirectory::LogPath(options_.state_dir, member->name);
  child.waker = options_.waker;
  SAMOVAR_ASSIGN_OR_RETURN(member->process, ChildProcess::Start(child));
  member->started = SteadyNow();
  return absl::OkStatus();
}

absl::Status LocalCluster::StartServer(size_t index, bool again) {
  Member& server = servers_[index];
  std::vector<std::string> arguments = {"--listen", server.address.empty() ? "127.0.0.1:0" : server.address};
  if (index == 0) {
    arguments.push_back("--coordinator");
    // The run's directory, not the coordinator's job table, says which earlier run is resumed.
    if (!again) arguments.push_back("--forget-jobs");
  } else {
    arguments.insert(arguments.end(), {"--join", coordinator_});
  }
  arguments.insert(arguments.end(), {"--state", RunDirectory::ServerDir(options_.state_dir, static_cast<int>(index)),
                                     "--apply-threads", absl::StrCat(options_.apply_threads)});
  if (options_.servers > 1) {
    arguments.insert(arguments.end(), {"--parameter-memory", absl::StrCat(ParameterMebibytes(options_.servers))});
  }
  return Start(&server, "samovar-server", std::move(arguments), !again);
}

absl::Status LocalCluster::StartWorker(size_t index, bool again) {
  Member& worker = workers_[index];
  return Start(&worker, "samovar-worker",
               {"--coordinator", coordinator_, "--name", worker.name, "--threads", absl::StrCat(options_.threads),
                "--channels", absl::StrCat(options_.channels)},
               !again);
}

absl::Status LocalCluster::NoteDeath(Member* member, absl::Time now) {
  const std::string death = DeathReport(*member->process);
  if (++deaths_ >= options_.max_deaths) {
    return absl::UnavailableError(
        absl::StrCat("servers or workers died ", deaths_, " times while the job got nowhere; the last: ", death));
  }
  const bool long_life = now - member->started >= kLongLife;
  if (long_life) member->backoff.Reset();
  const absl::Duration delay = member->backoff.Next();
  member->process.reset();
  member->restart_at = now + delay;
  if (options_.on_event) {
    options_.on_event(absl::StrCat(death, "; starting it again in ", absl::ToInt64Milliseconds(delay), " ms"));
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> LocalCluster::Look(Member* member, absl::Time now) {
  if (member->process != nullptr && member->process->ended()) SAMOVAR_RETURN_IF_ERROR(NoteDeath(member, now));
  if (member->process != nullptr || now < member->restart_at) return false;
  member->restart_at = absl::InfiniteFuture();
  return true;
}

absl::Status LocalCluster::Supervise(absl::Time now, uint64_t progress) {
  if (progress > progress_) {
    progress_ = progress;
    deaths_ = 0;
  }
  for (size_t i = 0; i < servers_.size(); ++i) {
    SAMOVAR_ASSIGN_OR_RETURN(const bool start, Look(&servers_[i], now));
    if (start) SAMOVAR_RETURN_IF_ERROR(StartServer(i, /*again=*/true));
  }
  for (size_t i = 0; i < workers_.size(); ++i) {
    SAMOVAR_ASSIGN_OR_RETURN(const bool start, Look(&workers_[i], now));
    if (start) SAMOVAR_RETURN_IF_ERROR(StartWorker(i, /*again=*/true));
  }
  return absl::OkStatus();
}

absl::Time LocalCluster::next_restart() const {
  absl::Time next = absl::InfiniteFuture();
  for (const auto* members : {&servers_, &workers_}) {
    for (const Member& member : *members) next = std::min(next, member.restart_at);
  }
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
  for (std::vector<Member>* members : {&workers_, &servers_}) {
    std::vector<ChildProcess*> processes;
    for (const Member& member : *members) {
      if (member.process != nullptr) processes.push_back(member.process.get());
    }
    EndAll(processes, hurry);
    // Destructors kill and reap the processes that are left.
    members->clear();
  }
}

}  // namespace samovar
