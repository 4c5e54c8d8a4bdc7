// Measures the work of a large cluster's coordinator, and how long workers wait for it: a real coordinator and real
// servers, and many workers that join, lease, send heartbeats and report as real ones do, but sleep where those compute
// and push nothing. Then the same while others watch the status.
//
//     control_plane_bench [--workers 64] [--servers 4] [--watchers 20] [--iteration_ms 100] [--seconds 20] [--json]
#include <stdlib.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "benchmarks/control_plane/status_readers.h"
#include "benchmarks/support/cpu_seconds.h"
#include "benchmarks/support/quantile.h"
#include "benchmarks/support/server_process.h"
#include "cli/check/check_job.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/base/version.h"
#include "common/rpc/deadlines.h"
#include "common/rpc/dialer.h"
#include "common/rpc/status.h"
#include "common/storage/storage_table.h"
#include "common/telemetry/log.h"
#include "samovar/v1/job.grpc.pb.h"
#include "worker/train/coordinator_session.h"

ABSL_FLAG(std::string, server, "build/release/bin/samovar-server", "the servers' program");
ABSL_FLAG(int, workers, 64, "workers, each with two threads of this process");
ABSL_FLAG(int, servers, 4, "parameter servers beside the coordinator");
ABSL_FLAG(int, watchers, 20, "clients that watch the status in the second half of the measurement");
ABSL_FLAG(double, iteration_ms, 100, "what an iteration takes a worker");
ABSL_FLAG(double, seconds, 20, "length of the measurement, after a quarter as long to get going");
ABSL_FLAG(bool, json, false, "prints one JSON object instead of a table");

namespace samovar {
namespace {

constexpr char kNet[] = R"(
  layer { name: "data" type: "DummyData" top: "data" top: "label"
          dummy_data_param { shape { dim: 64 dim: 16 } shape { dim: 64 } } }
  layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 10 } }
  layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" })";
constexpr char kSolver[] =
    "net: \"net.prototxt\" base_lr: 0.01 lr_policy: \"fixed\" max_iter: 100000000 display: 0 snapshot_prefix: "
    "\"control\"";

absl::StatusOr<v1::JobSpec> MakeJob(const std::string& directory) {
  std::ofstream(absl::StrCat(directory, "/net.prototxt")) << kNet;
  const std::string solver = absl::StrCat(directory, "/solver.prototxt");
  std::ofstream(solver) << kSolver;
  SAMOVAR_ASSIGN_OR_RETURN(CheckedJob job, CheckJob(solver));
  job.spec.set_servers(static_cast<uint32_t>(absl::GetFlag(FLAGS_servers)));
  job.spec.set_seed(1);
  return job.spec;
}

// A worker that sleeps. Figures are of the time while `measuring`.
class SimulatedWorker {
 public:
  SimulatedWorker(const std::string& coordinator, int number, const std::atomic<bool>* measuring)
      : session_(coordinator, Dialer(RpcOptions()), StorageTable(), SelfOf(number), [this] { return Figures(); }),
        measuring_(*measuring),
        thread_([this] { Run(); }) {}
  ~SimulatedWorker() { Stop(); }

  void Stop() {
    stopper_.Stop();
    session_.Stop();
    if (thread_.joinable()) thread_.join();
  }

  // After Stop.
  const std::vector<double>& waits() const { return waits_; }
  uint64_t iterations() const { return iterations_; }
  uint64_t nothing_to_do() const { return nothing_to_do_; }

 private:
  // As they change at a real one.
  v1::WorkerFigures Figures() const {
    const double seconds = absl::ToDoubleSeconds(SteadyNow() - begun_);
    v1::WorkerFigures figures;
    figures.set_activity(v1::WORKER_ACTIVITY_COMPUTING);
    figures.set_records(static_cast<uint64_t>(64 * seconds));
    figures.set_compute_seconds(0.9 * seconds);
    figures.set_pull_wait_seconds(0.1 * seconds);
    figures.set_cpu_seconds(0.9 * seconds);
    figures.set_resident_bytes(100 << 20);
    return figures;
  }

  static v1::JoinRequest SelfOf(int number) {
    v1::JoinRequest self;
    self.set_name(absl::StrCat("simulated-", number));
    self.set_threads(1);
    self.set_version(Version());
    self.set_host(absl::StrCat("node-", number));
    self.set_isa("x86-64-v3");
    return self;
  }

  void Run() {
    while (!stopper_.stopped()) {
      if (!session_.joined() && !session_.Join().ok()) {
        stopper_.WaitFor(absl::Milliseconds(100));
        continue;
      }
      const absl::Time asked = SteadyNow();
      const auto answer = session_.AskForLease();
      if (!answer.ok()) continue;
      if (answer->lease == nullptr) {
        nothing_to_do_ += measuring_ ? 1 : 0;
        stopper_.WaitFor(answer->retry_after);
        continue;
      }
      if (measuring_) waits_.push_back(absl::ToDoubleSeconds(SteadyNow() - asked));
      Work(*answer->lease);
    }
  }

  void Work(const HeldLease& held) {
    const v1::IterationRange range = held.lease.train();
    for (uint64_t t = range.begin(); t < range.end() && !held.ended.stopped(); ++t) {
      if (held.ended.WaitFor(absl::Milliseconds(absl::GetFlag(FLAGS_iteration_ms)))) return;
      v1::TrainResult result;
      result.set_job_id(held.lease.job_id());
      result.set_lease_id(held.lease.lease_id());
      result.set_iteration(t);
      result.add_outputs(1);
      result.set_loss(1);
      session_.outbox().Add(std::move(result));
      iterations_ += measuring_ ? 1 : 0;
    }
  }

  const absl::Time begun_ = SteadyNow();
  CoordinatorSession session_;
  const std::atomic<bool>& measuring_;
  Stopper stopper_;
  std::vector<double> waits_;
  uint64_t iterations_ = 0;
  uint64_t nothing_to_do_ = 0;
  std::thread thread_;
};

absl::Status Submit(const std::string& coordinator, const v1::JobSpec& spec) {
  const auto stub = v1::JobService::NewStub(Dialer(RpcOptions()).Dial(coordinator));
  grpc::ClientContext context;
  SetDeadline(&context, absl::Seconds(30));
  v1::SubmitRequest request;
  *request.mutable_spec() = spec;
  v1::SubmitResponse response;
  return FromGrpcStatus(stub->Submit(&context, request, &response));
}

absl::Status Measure(const std::string& directory) {
  const std::string program = absl::GetFlag(FLAGS_server);
  SAMOVAR_ASSIGN_OR_RETURN(const auto coordinator,
                           ServerProcess::Start(program, absl::StrCat(directory, "/coordinator")));
  std::vector<std::unique_ptr<ServerProcess>> servers;
  for (int i = 0; i < absl::GetFlag(FLAGS_servers); ++i) {
    SAMOVAR_ASSIGN_OR_RETURN(auto server, ServerProcess::Start(program, absl::StrCat(directory, "/server-", i),
                                                               std::nullopt, coordinator->address()));
    servers.push_back(std::move(server));
  }
  SAMOVAR_ASSIGN_OR_RETURN(const v1::JobSpec spec, MakeJob(directory));
  SAMOVAR_RETURN_IF_ERROR(Submit(coordinator->address(), spec));

  std::atomic<bool> measuring = false;
  std::vector<std::unique_ptr<SimulatedWorker>> workers;
  for (int i = 0; i < absl::GetFlag(FLAGS_workers); ++i) {
    workers.push_back(std::make_unique<SimulatedWorker>(coordinator->address(), i, &measuring));
  }
  const absl::Duration length = absl::Seconds(absl::GetFlag(FLAGS_seconds));
  const Stopper nobody;
  // Seconds of the coordinator's processor time a second.
  const auto coordinator_share = [&] {
    const absl::Time start = SteadyNow();
    const double cpu_start = CpuSecondsOf(coordinator->pid());
    nobody.WaitFor(length);
    return (CpuSecondsOf(coordinator->pid()) - cpu_start) / absl::ToDoubleSeconds(SteadyNow() - start);
  };
  nobody.WaitFor(length / 4);
  measuring = true;
  const absl::Time start = SteadyNow();
  const double share = coordinator_share();
  measuring = false;
  const double seconds = absl::ToDoubleSeconds(SteadyNow() - start);
  StatusReaders readers(coordinator->address(), absl::GetFlag(FLAGS_watchers));
  const double watched_share = coordinator_share();
  const StatusReaders::Figures watched = readers.Stop();

  std::vector<double> waits;
  uint64_t iterations = 0;
  uint64_t nothing_to_do = 0;
  for (auto& worker : workers) {
    worker->Stop();
    waits.insert(waits.end(), worker->waits().begin(), worker->waits().end());
    iterations += worker->iterations();
    nothing_to_do += worker->nothing_to_do();
  }
  if (waits.empty()) return absl::UnavailableError("no worker was given a lease");
  double waited = 0;
  for (const double wait : waits) waited += wait;
  std::cout << absl::StrFormat(
      absl::GetFlag(FLAGS_json)
          ? R"({"workers":%d,"servers":%d,"coordinator_cpu_share":%.4f,"iterations_per_second":%.1f,"leases_per_second":%.1f,)"
            R"("wait_median_ms":%.2f,"wait_p99_ms":%.2f,"wait_longest_ms":%.2f,"waiting_share":%.5f,"answers_without_work":%d,)"
          : "%d workers, %d servers beside the coordinator: coordinator %.4f of a processor; %.1f iterations/s, %.1f "
            "leases/s; a lease is waited for %.2f ms (median), %.2f (99th percentile), %.2f (longest), %.5f of a "
            "worker's time; %d answers without work\n",
      absl::GetFlag(FLAGS_workers), absl::GetFlag(FLAGS_servers), share, static_cast<double>(iterations) / seconds,
      static_cast<double>(waits.size()) / seconds, 1e3 * Quantile(&waits, 0.5), 1e3 * Quantile(&waits, 0.99),
      1e3 * Quantile(&waits, 1), waited / seconds / absl::GetFlag(FLAGS_workers), static_cast<int>(nothing_to_do));
  std::cout << absl::StrFormat(
      absl::GetFlag(FLAGS_json)
          ? R"("watchers":%d,"watched_coordinator_cpu_share":%.4f,"watch_messages_per_second":%.2f,"watch_bytes_per_second":%.0f,)"
            R"("status_bytes":%d,"status_median_ms":%.2f,"status_p99_ms":%.2f})"
            "\n"
          : "%d watchers: coordinator %.4f of a processor; each gets %.2f messages/s, %.0f bytes/s; a whole status is "
            "%d "
            "bytes and takes %.2f ms (median), %.2f (99th percentile)\n",
      absl::GetFlag(FLAGS_watchers), watched_share, watched.messages_per_second, watched.bytes_per_second,
      watched.status_bytes, watched.median_ms, watched.p99_ms);
  return absl::OkStatus();
}

absl::Status Main() {
  if (absl::GetFlag(FLAGS_workers) < 1 || absl::GetFlag(FLAGS_servers) < 1) {
    return absl::InvalidArgumentError("--workers and --servers must be 1 or more");
  }
  char directory[] = "/dev/shm/control_plane_bench.XXXXXX";
  if (mkdtemp(directory) == nullptr) return absl::ErrnoToStatus(errno, "cannot make a directory in /dev/shm");
  std::error_code ignored;
  std::filesystem::create_directories(absl::StrCat(directory, "/coordinator"), ignored);
  for (int i = 0; i < absl::GetFlag(FLAGS_servers); ++i) {
    std::filesystem::create_directories(absl::StrCat(directory, "/server-", i), ignored);
  }
  const absl::Status status = Measure(directory);
  std::filesystem::remove_all(directory, ignored);
  return status;
}

}  // namespace
}  // namespace samovar

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  if (!samovar::InitLogging({"control_plane_bench", "warning"}).ok()) return 1;
  const absl::Status status = samovar::Main();
  if (!status.ok()) std::cerr << "control_plane_bench: " << status.message() << "\n";
  return status.ok() ? 0 : 1;
}
