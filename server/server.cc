#include "server/server.h"

#include <unistd.h>

#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/exceptions.h"
#include "common/base/process_usage.h"
#include "common/base/status_macros.h"
#include "common/base/version.h"
#include "common/home/coordinator_channel.h"
#include "common/rpc/deadlines.h"
#include "common/rpc/dialer.h"
#include "common/rpc/listener.h"
#include "common/rpc/log_lines.h"
#include "common/rpc/standard_services.h"
#include "common/telemetry/log.h"
#include "common/telemetry/recent_log.h"
#include "server/announced_address.h"
#include "server/cluster/cluster_summary.h"
#include "server/cluster/member_status.h"
#include "server/cluster/problems.h"
#include "server/monitor/cluster_metrics.h"
#include "server/monitor/server_pages.h"
#include "server/server_identity.h"

namespace samovar {
namespace {

// Calls in progress get this long to end.
constexpr absl::Duration kDrain = absl::Seconds(2);
// A server that was killed, or whose parent was, may need a moment to be gone.
constexpr absl::Duration kLockPatience = absl::Seconds(2);
constexpr absl::Duration kRegisterDeadline = absl::Seconds(2);
// Between calls that wait for a connection themselves.
constexpr absl::Duration kFirstRetry = absl::Milliseconds(50);
constexpr absl::Duration kLongestRetry = absl::Milliseconds(200);
// Threads that serve calls; watchers hold one each.
constexpr int kMaxThreads = 256;

absl::Status CheckOptions(const Server::Options& options) {
  if (options.is_coordinator == !options.join.empty()) {
    return absl::InvalidArgumentError(
        "a server either is the coordinator or joins one: give --coordinator or --join ADDRESS");
  }
  if (options.state_dir.empty())
    return absl::InvalidArgumentError("a server needs a directory for its state: give --state DIR");
  if (!options.allow_plaintext) SAMOVAR_RETURN_IF_ERROR(CheckLoopbackAddress(options.listen));
  if (options.is_coordinator && options.advertise.empty() && ListensEverywhere(options.listen)) {
    return absl::InvalidArgumentError(absl::StrCat("others cannot dial ", options.listen,
                                                   ", which is every address of this machine; say "
                                                   "which one leads to the coordinator: --advertise HOST:PORT"));
  }
  if (!options.advertise.empty() && ListensEverywhere(options.advertise)) {
    return absl::InvalidArgumentError(absl::StrCat("--advertise: others cannot dial ", options.advertise,
                                                   "; give a name or number of this machine that they know"));
  }
  return absl::OkStatus();
}

absl::StatusOr<DirectoryLock> TakeState(const std::string& directory) {
  return DirectoryLock::Take(directory, kLockPatience, [&directory](const std::string& holder) {
    return absl::StrCat("the state directory ", directory, " is in use by ", holder,
                        "; end that server first, or give this one a directory of its own (--state)");
  });
}

// All but the address.
v1::RegisterServerRequest Registration(uint64_t identity, int apply_threads) {
  std::random_device random;
  v1::RegisterServerRequest request;
  request.set_apply_threads(static_cast<uint32_t>(apply_threads));
  request.set_pid(static_cast<uint64_t>(getpid()));
  request.set_incarnation(uint64_t{random()} << 32 | random());
  request.set_identity(identity);
  request.set_version(Version());
  request.set_host(MachineName());
  return request;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const Options& options) {
  SAMOVAR_RETURN_IF_ERROR(CheckOptions(options));
  std::unique_ptr<Server> server(new Server(options));
  SAMOVAR_RETURN_IF_ERROR(server->StartServing());
  return server;
}

absl::Status Server::StartServing() {
  SAMOVAR_ASSIGN_OR_RETURN(state_lock_, TakeState(options_.state_dir));
  ParameterService::Options parameters;
  parameters.apply_threads = options_.apply_threads;
  // The thread that receives a gradient applies it, if it can.
  parameters.queue_threads = options_.apply_threads;
  parameters.state_dir = options_.state_dir;
  parameters.max_parameter_bytes = options_.max_parameter_bytes;
  parameters.metrics = &metrics_;
  parameters.storage = options_.storage;
  SAMOVAR_ASSIGN_OR_RETURN(parameters_, ParameterService::Create(parameters));
  SAMOVAR_ASSIGN_OR_RETURN(identity_, ServerIdentity(options_.state_dir));

  AddStandardServices();
  // Workers repeat calls that are ended for want of message memory.
  Listener listener({.address = options_.listen,
                     .rpc = options_.rpc,
                     .max_threads = kMaxThreads,
                     .max_message_memory = ParameterService::MessageBytes(parameters)});
  parameters_->Register(listener.builder());
  if (options_.is_coordinator) {
    Coordinator::Options coordinator;
    coordinator.state_dir = options_.state_dir;
    coordinator.home = options_.home;
    coordinator.on_replaced = options_.on_replaced;
    coordinator.server_patience = options_.server_patience;
    coordinator.max_running = options_.max_running_jobs;
    coordinator.max_ended = options_.keep_ended_jobs;
    coordinator.forget_jobs = options_.forget_jobs;
    coordinator.snapshots = options_.snapshots;
    coordinator.rpc = options_.rpc;
    coordinator.storage = options_.storage;
    SAMOVAR_ASSIGN_OR_RETURN(coordinator_, Coordinator::Create(coordinator));
    coordinator_service_ = std::make_unique<CoordinatorService>(coordinator_.get());
    job_service_ = std::make_unique<JobService>(coordinator_.get());
    coordinator_service_->AddTo(&coordinator_calls_);
    job_service_->AddTo(&job_calls_);
    listener.builder()->RegisterService(&coordinator_calls_);
    listener.builder()->RegisterService(&job_calls_);
  }
  StatusService::History history = nullptr;
  if (coordinator_ != nullptr) {
    history = [this](const v1::GetHistoryRequest& request, absl::FunctionRef<bool(const v1::HistoryBlock&)> send) {
      return coordinator_->History(request, send);
    };
  }
  status_service_ = std::make_unique<StatusService>([this] { return Status(); }, std::move(history), &stopper_);
  status_service_->AddTo(&status_calls_);
  listener.builder()->RegisterService(&status_calls_);
  process_log_service_ = std::make_unique<ProcessLogService>(
      [this](const v1::GetProcessLogRequest& request, MemberLogs::Cursor* cursor) { return ReadLog(request, cursor); },
      &stopper_);
  process_log_service_->AddTo(&process_log_calls_);
  listener.builder()->RegisterService(&process_log_calls_);
  SAMOVAR_ASSIGN_OR_RETURN(grpc_server_, listener.Start());
  SetAllServing(true);
  parameters_->Start();
  address_ = listener.address();
  if (coordinator_ != nullptr) {
    SAMOVAR_RETURN_IF_ERROR(coordinator_->SetAddress(options_.advertise.empty() ? address_ : options_.advertise));
  }
  if (!options_.http.empty()) {
    ServerPages pages = {{&metrics_, [this] { return UnreadyText(); }}, [this] { return Status(); }};
    if (coordinator_ != nullptr) {
      pages.history = [this](const v1::GetHistoryRequest& request,
                             absl::FunctionRef<bool(const v1::HistoryBlock&)> send) {
        return status_service_->SendHistory(request, send);
      };
      pages.events = [this](const std::string& job, uint64_t after, absl::FunctionRef<bool(const v1::JobEvent&)> send) {
        return coordinator_->Logs(job, after, /*follow=*/false, send, [] { return false; });
      };
      pages.process.more_metrics = [this] { return ClusterMetrics(status_service_->Recent()); };
    }
    absl::StatusOr<std::unique_ptr<PageServer>> started = PageServer::Start(options_.http, PagesOf(pages));
    if (!started.ok()) return Annotate(started.status(), "--http");
    page_server_ = *std::move(started);
    http_ = page_server_->address();
  }
  registrar_ = std::thread([this] { KeepRegistered(); });
  return absl::OkStatus();
}

absl::StatusOr<std::string> Server::AnnouncedAddress(const std::string& coordinator) const {
  if (!options_.advertise.empty()) return options_.advertise;
  if (!ListensEverywhere(address_)) return address_;
  const absl::StatusOr<std::string> host = HostTowards(coordinator);
  if (!host.ok())
    return Annotate(host.status(),
                    "the address at which others reach this server is not known; give it with --advertise HOST:PORT");
  return absl::StrCat(*host, absl::string_view(address_).substr(address_.rfind(':')));
}

v1::ClusterStatus Server::Status() const {
  if (coordinator_ != nullptr) return coordinator_->Status();
  absl::MutexLock lock(&registration_mu_);
  v1::ClusterStatus status;
  status.set_version(Version());
  status.set_coordinator(registered_at_);
  status.set_epoch(registered_epoch_);
  status.set_uptime_seconds(absl::ToDoubleSeconds(SteadyNow() - started_));
  status.set_unix_ms(UnixMsNow());
  Membership::Server self = {registration_, SteadyNow(), started_, figures_};
  *self.registration.mutable_figures() = Figures();
  self.figures.Add(self.heard, self.registration.figures());
  *status.add_servers() = StatusOf(self, {SteadyNow(), absl::Now()});
  if (status.servers(0).address().empty()) status.mutable_servers(0)->set_address(address_);
  if (!registration_error_.empty()) status.add_problems(registration_error_);
  for (std::string& problem : ProblemsOf(status)) status.add_problems(std::move(problem));
  return status;
}

std::string Server::StatusText() const {
  if (coordinator_ != nullptr) return SummaryOf(coordinator_->Status());
  if (std::string unready = UnreadyText(); !unready.empty()) return unready;
  const v1::ServerFigures figures = Figures();
  absl::MutexLock lock(&registration_mu_);
  return absl::StrCat("serves ", figures.jobs(), figures.jobs() == 1 ? " job" : " jobs", ", ",
                      figures.parameter_bytes() >> 20, " MiB of parameters, for the coordinator ", registered_at_);
}

v1::ServerFigures Server::Figures() const {
  v1::ServerFigures figures;
  parameters_->WriteTo(&figures);
  figures.set_resident_bytes(ProcessResidentBytes());
  figures.set_cpu_seconds(ProcessCpuSeconds());
  return figures;
}

absl::StatusOr<v1::ProcessLogPart> Server::ReadLog(v1::GetProcessLogRequest request, MemberLogs::Cursor* cursor) const {
  std::string address;
  {
    absl::MutexLock lock(&registration_mu_);
    address = registration_.address().empty() ? address_ : registration_.address();
  }
  if (coordinator_ == nullptr) return ReadOwnLog(address, request, cursor);
  if (request.worker().empty() && request.server().empty()) request.set_server(address);
  return coordinator_->ProcessLog(request, cursor);
}

std::string Server::UnreadyText() const {
  if (stopper_.stopped()) return "the server stops";
  absl::MutexLock lock(&registration_mu_);
  if (!registration_error_.empty()) return registration_error_;
  return registered_epoch_ == 0 ? "the server has not registered at its coordinator yet" : "";
}

void Server::NoteRegistration(const v1::RegisterServerRequest& request, const std::string& coordinator, uint64_t epoch,
                              const absl::Status& status) {
  absl::MutexLock lock(&registration_mu_);
  registration_ = request;
  figures_.Add(SteadyNow(), request.figures());
  registered_at_ = coordinator;
  if (status.ok()) registered_epoch_ = epoch;
  registration_error_ = status.ok() ? "" : absl::StrCat("cannot register at the coordinator: ", status.message());
}

void Server::KeepRegistered() {
  v1::RegisterServerRequest request = Registration(identity_, options_.apply_threads);
  request.set_http(http_);
  // The coordinator's own server registers over the same road as all others.
  const std::string place = options_.is_coordinator ? AnnouncedAddress("").value_or(address_) : options_.join;
  CoordinatorChannel coordinator(place, Dialer(options_.rpc), options_.storage);
  Backoff backoff(kFirstRetry, kLongestRetry, request.incarnation());
  bool registered = false;
  // The newest line of the log that the coordinator of that epoch has.
  uint64_t sent_line = 0;
  uint64_t epoch = 0;
  const auto register_once = [&]() -> absl::Status {
    SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel, coordinator.Get());
    // Known once, it stays: a server is known by it.
    if (request.address().empty()) {
      SAMOVAR_ASSIGN_OR_RETURN(*request.mutable_address(), AnnouncedAddress(coordinator.address()));
    }
    v1::RegisterServerResponse response;
    *request.mutable_figures() = Figures();
    request.clear_log_lines();
    const uint64_t newest_line = AddLogLines(ProcessLog(), sent_line, kMaxSentLogBytes, request.mutable_log_lines());
    const auto stub = v1::CoordinatorService::NewStub(channel);
    const absl::Status status = CallOnceConnected(
        kRegisterDeadline, Membership::kServerRenewal,
        [&](grpc::ClientContext* context) { return stub->RegisterServer(context, request, &response); });
    coordinator.Note(status);
    request.clear_log_lines();
    // Another one has none of them.
    if (status.ok()) sent_line = epoch == 0 || response.epoch() == epoch ? newest_line : 0;
    if (status.ok()) epoch = response.epoch();
    NoteRegistration(request, coordinator.address(), response.epoch(), status);
    return status;
  };
  while (!stopper_.stopped()) {
    const absl::Status status = CatchExceptions(register_once);
    if (status.ok() != registered) {
      registered = status.ok();
      if (registered) {
        LogInfo(absl::StrCat("registered at coordinator ", coordinator.address(), " as ", request.address()));
      } else {
        LogWarning(absl::StrCat("cannot register at coordinator ", coordinator.address(),
                                ", keeps trying: ", status.message()));
      }
    }
    if (status.ok()) {
      backoff.Reset();
      stopper_.WaitFor(Membership::kServerRenewal);
    } else {
      stopper_.WaitFor(backoff.Next());
    }
  }
}

void Server::SetAllServing(bool serving) {
  SetServing(grpc_server_.get(), {"samovar.v1.ParameterService", "samovar.v1.StatusService"}, serving);
  if (coordinator_ == nullptr) return;
  SetServing(grpc_server_.get(), {"samovar.v1.CoordinatorService", "samovar.v1.JobService"}, serving);
}

Server::~Server() { Shutdown(); }

void Server::Shutdown() {
  if (std::exchange(ended_, true)) return;
  // Else it has failed to start: it has nothing to tell but why.
  const bool has_served = registrar_.joinable();
  // 0. Whoever asks hears that this server takes nothing new.
  if (grpc_server_ != nullptr) SetAllServing(false);
  page_server_.reset();
  // 1. No more registrations, no more leases: jobs and watchers end.
  stopper_.Stop();
  if (registrar_.joinable()) registrar_.join();
  if (coordinator_ != nullptr) coordinator_->Stop();
  // 2. Workers' streams end; other calls are drained.
  if (grpc_server_ != nullptr) {
    parameters_->CancelStreams();
    grpc_server_->Shutdown(DeadlineIn(kDrain));
  }
  // 3. Save the iterations that were applied since the last snapshots.
  if (grpc_server_ != nullptr) {
    const absl::Status saved = parameters_->SaveJobs();
    if (!saved.ok()) LogWarning(absl::StrCat("jobs could not be saved: ", saved.message()));
  }
  // 4. Queues, apply threads and storage.
  if (parameters_ != nullptr) parameters_->Shutdown();
  if (has_served) LogInfo(absl::StrCat("metrics: ", metrics_.Line()));
}

}  // namespace samovar
