// LocalCluster is the servers and workers of one run, as child processes on this machine.
//
// One that dies is started again: a worker holds nothing, and a server has its snapshots, and its jobs if it is the
// coordinator, in its state directory.
//
// Thread safety: none; one thread, which lives as long as the process (child_process.h).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/run/child_process.h"
#include "cli/run/waker.h"
#include "common/base/backoff.h"

namespace samovar {

class LocalCluster {
 public:
  struct Options {
    // Where samovar-server and samovar-worker are.
    std::string program_dir;
    // Gets server-<i>/ for each server's snapshots, and logs/<process>.log.
    std::string state_dir;
    int servers = 1;
    int workers = 1;
    // Threads of each worker, and of each server.
    int threads = 1;
    int apply_threads = 1;
    // Connections of each worker to each server; 0: by the model's size.
    uint32_t channels = 0;
    std::string log_level = "info";
    // Where the coordinator serves its pages, as its --http; empty: nowhere.
    std::string dashboard;
    // Time that each process may take until it is ready.
    absl::Duration start_timeout = absl::Seconds(60);
    // Time that the workers, and then the servers, may take to end before they are killed.
    absl::Duration end_timeout = absl::Seconds(10);
    // A process that keeps dying is started again after these delays: the first, and at most the last.
    absl::Duration first_restart_delay = absl::Milliseconds(500);
    absl::Duration last_restart_delay = absl::Seconds(10);
    // So many deaths while the job gets nowhere fail the run.
    int max_deaths = 8;
    // Notified when a process ends; the thread that waits for it then calls Supervise. Outlives the cluster.
    Waker* waker = nullptr;
    // Whether the user wants the run to end. Asked while processes are starting.
    std::function<bool()> interrupted;
    // Receives a message when a process died and is started again.
    std::function<void(const std::string&)> on_event;
  };

  // Starts the coordinator, then all other processes, and returns when all are ready. An error names the process and
  // its log; CANCELLED: interrupted. No process is left behind then.
  static absl::StatusOr<std::unique_ptr<LocalCluster>> Start(Options options);
  // Ends all processes, if Shutdown has not.
  ~LocalCluster();
  LocalCluster(const LocalCluster&) = delete;
  LocalCluster& operator=(const LocalCluster&) = delete;

  // Address of the coordinator, "host:port".
  const std::string& coordinator() const { return coordinator_; }

  // The pages' real address, once it is known: a coordinator that is started again serves them there.
  void KeepDashboard(const std::string& address) { dashboard_ = address; }

  // Looks at all processes and starts those again whose time has come. `progress` is any number that grows while the
  // job gets on. UNAVAILABLE: they die again and again; the message says which, how, and where the log is.
  absl::Status Supervise(absl::Time now, uint64_t progress);
  // When Supervise has to be called at the latest, if the waker does not wake before.
  absl::Time next_restart() const;

  // Ends the workers and then the servers: asks, waits, kills. `hurry` is asked whenever the waker wakes; true: kill at
  // once.
  void Shutdown(const std::function<bool()>& hurry);

 private:
  // A process's place.
  struct Member {
    std::string name;
    Backoff backoff;
    // Null while it waits for its restart.
    std::unique_ptr<ChildProcess> process;
    absl::Time started;
    absl::Time restart_at = absl::InfiniteFuture();
    // The address of a server that is ready: it is started again there, so that its clients find it.
    std::string address;
  };

  explicit LocalCluster(Options options) : options_(std::move(options)), dashboard_(options_.dashboard) {}
  absl::Status StartAll();
  Member MakeMember(const std::string& name) const;
  // `again`: in the place of one that died, and without waiting until it is ready.
  absl::Status StartServer(size_t index, bool again);
  absl::Status StartWorker(size_t index, bool again);
  absl::Status Start(Member* member, const std::string& program, std::vector<std::string> arguments,
                     bool reports_ready);
  absl::StatusOr<std::string> AwaitReady(const Member& member);
  // Whether the member's time to be started again has come.
  absl::StatusOr<bool> Look(Member* member, absl::Time now);
  absl::Status NoteDeath(Member* member, absl::Time now);
  void EndAll(const std::vector<ChildProcess*>& processes, const std::function<bool()>& hurry);

  const Options options_;
  std::string dashboard_;
  std::string coordinator_;
  std::vector<Member> servers_;
  std::vector<Member> workers_;
  // Deaths since the job last got on, and how far it had got then.
  int deaths_ = 0;
  uint64_t progress_ = 0;
};

}  // namespace samovar
