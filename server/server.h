// Server is one samovar-server: a parameter server, and on one of them the coordinator too, behind one gRPC port.
//
// Thread safety: Start and Shutdown on one thread; address() from any.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/stopper.h"
#include "common/pages/page_server.h"
#include "common/rpc/bounded_service.h"
#include "common/rpc/request_gate.h"
#include "common/rpc/rpc_options.h"
#include "common/storage/directory_lock.h"
#include "common/storage/storage_table.h"
#include "common/telemetry/metrics.h"
#include "common/telemetry/rate_window.h"
#include "server/coordinator/coordinator.h"
#include "server/coordinator/coordinator_service.h"
#include "server/coordinator/job_service.h"
#include "server/monitor/process_log_service.h"
#include "server/monitor/status_service.h"
#include "server/store/parameter_service.h"

namespace samovar {

class Server {
 public:
  struct Options {
    // "host:port"; port 0: any free one.
    std::string listen = "127.0.0.1:0";
    // "host:port" that this server announces to others. Empty: where this listens; of a server that joins and listens
    // on all addresses of its machine, the one that leads to the coordinator.
    std::string advertise;
    // "host:port" of its pages (server_pages.h), as PageServer::Start; empty: it serves none.
    std::string http = "";
    // Whether this server runs the jobs. One of a cluster's does; the others name it in `join`: "host:port", or the
    // cluster's home.
    bool is_coordinator = false;
    std::string join;
    // For the coordinator: as Coordinator::Options.
    std::string home = "";
    std::function<void()> on_replaced = nullptr;
    // Snapshots, the server's identity, and the coordinator's epoch and jobs; made if it is not there.
    std::string state_dir;
    int apply_threads = 1;
    // As ParameterService::Options.
    uint64_t max_parameter_bytes = 0;
    // For the coordinator: as Coordinator::Options.
    int max_running_jobs = 4;
    int keep_ended_jobs = JobQueue::kMaxEndedJobs;
    std::string snapshots = "";
    bool forget_jobs = false;
    // How long a coordinator's jobs wait for a server that they need before they fail.
    absl::Duration server_patience = absl::Minutes(10);
    // How this server talks to others, and they to it.
    RpcOptions rpc;
    // The operator accepts traffic without encryption beyond this machine.
    bool allow_plaintext = false;
    // Where the files are that jobs begin from, and where their snapshots are exported to.
    StorageTable storage = {};
  };

  // Serves from its return on; a server that joins registers in the background and keeps trying.
  // INVALID_ARGUMENT: an option is wrong. FAILED_PRECONDITION: another process has the state directory. UNAVAILABLE:
  // the address cannot be listened on.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const Options& options);
  // As Shutdown().
  ~Server();

  // Where this listens: the host of `listen` and the real port.
  const std::string& address() const { return address_; }
  // Where its pages are; empty: it serves none.
  const std::string& http() const { return http_; }
  // Its work now, in a line for people. From any thread.
  std::string StatusText() const ABSL_LOCKS_EXCLUDED(registration_mu_);
  // The metrics of this server (store_metrics.h lists them). They live as long as the server.
  const Metrics& metrics() const { return metrics_; }

  // Orderly end, within seconds: see the numbered list in the source. Idempotent.
  void Shutdown();

 private:
  explicit Server(const Options& options) : options_(options), started_(SteadyNow()) {}

  absl::Status StartServing();
  // The address that others dial, who reach the coordinator at `coordinator`. UNAVAILABLE: as HostTowards.
  absl::StatusOr<std::string> AnnouncedAddress(const std::string& coordinator) const;
  // The cluster's, of the coordinator; else this server's alone. From any thread.
  v1::ClusterStatus Status() const ABSL_LOCKS_EXCLUDED(registration_mu_);
  // The last registration, for the status.
  void NoteRegistration(const v1::RegisterServerRequest& request, const std::string& coordinator, uint64_t epoch,
                        const absl::Status& status) ABSL_LOCKS_EXCLUDED(registration_mu_);
  // Empty: it has all that its work needs.
  std::string UnreadyText() const ABSL_LOCKS_EXCLUDED(registration_mu_);
  // Sets what gRPC's health service answers.
  void SetAllServing(bool serving);
  // As its status has them. From any thread.
  v1::ServerFigures Figures() const;
  // As MemberLogs::Read.
  absl::StatusOr<v1::ProcessLogPart> ReadLog(v1::GetProcessLogRequest request, MemberLogs::Cursor* cursor) const
      ABSL_LOCKS_EXCLUDED(registration_mu_);
  // Registers at the coordinator again and again, so that it knows that this server lives.
  void KeepRegistered();

  const Options options_;
  const absl::Time started_;
  std::string address_;
  std::string http_;
  // Before all that counts in it.
  Metrics metrics_;
  // The lock of state_dir. Before all that writes there, so that it is released after them.
  std::optional<DirectoryLock> state_lock_;
  // Kept in state_dir.
  uint64_t identity_ = 0;
  Stopper stopper_;
  std::unique_ptr<ParameterService> parameters_;
  // Null unless is_coordinator.
  std::unique_ptr<Coordinator> coordinator_;
  std::unique_ptr<CoordinatorService> coordinator_service_;
  std::unique_ptr<JobService> job_service_;
  std::unique_ptr<StatusService> status_service_;
  std::unique_ptr<ProcessLogService> process_log_service_;
  // The coordinator's services. Their gate is not that of the parameters' calls, which may take long.
  RequestGate coordinator_gate_{
      {}, metrics_.AddCounter("samovar_coordinator_refused_total", "Calls of the coordinator's that were refused.")};
  // One for each service, by which reflection names them.
  BoundedService coordinator_calls_{&coordinator_gate_};
  BoundedService job_calls_{&coordinator_gate_};
  BoundedService status_calls_{&coordinator_gate_};
  BoundedService process_log_calls_{&coordinator_gate_};
  mutable absl::Mutex registration_mu_;
  v1::RegisterServerRequest registration_ ABSL_GUARDED_BY(registration_mu_);
  std::string registered_at_ ABSL_GUARDED_BY(registration_mu_);
  uint64_t registered_epoch_ ABSL_GUARDED_BY(registration_mu_) = 0;
  std::string registration_error_ ABSL_GUARDED_BY(registration_mu_);
  RateWindow<v1::ServerFigures> figures_ ABSL_GUARDED_BY(registration_mu_);

  std::unique_ptr<grpc::Server> grpc_server_;
  // Before all that its pages show is gone.
  std::unique_ptr<PageServer> page_server_;
  std::thread registrar_;
  bool ended_ = false;
};

}  // namespace samovar
