// ParameterService is the data plane's gRPC service: it turns messages into calls of a ChunkStore.
//
//   auto service = ParameterService::Create(options);
//   (*service)->Register(&builder);
//   server = builder.BuildAndStart();
//   (*service)->Start();
//   ...
//   1. (*service)->CancelStreams();   streams end at once, unary calls run on
//   2. server->Shutdown(deadline);    returns when all calls have ended
//   3. (*service)->SaveJobs();        writes running jobs' unsaved iterations to the disk
//   4. (*service)->Shutdown();        ends queues, apply threads and the store
//
// Thread safety: RPCs run concurrently; the methods above on one thread, in this order.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/rpc/bounded_service.h"
#include "common/rpc/request_gate.h"
#include "server/snapshot/snapshot_store.h"
#include "server/store/chunk_store.h"
#include "server/store/exchange_stream.h"

namespace samovar {

class ParameterService final : public v1::ParameterService::Service {
 public:
  struct Options {
    // Threads that apply updates; chunks are dealt to them.
    int apply_threads = 1;
    // Snapshots are kept in `state_dir`/snapshots, and the highest epoch seen.
    std::string state_dir;
    // Bytes for weights, solver states and frozen copies of all jobs; 0: three quarters of MemoryLimitBytes().
    uint64_t max_parameter_bytes = 0;
    // Bytes for requests that are being worked on and for answers that are not sent yet; 0: a quarter of those for
    // parameters, but at least 256 MiB.
    uint64_t max_message_bytes = 0;
    // Threads that serve the streams' sockets.
    int queue_threads = 1;
    // Requests of one stream that may be under way at a time.
    int max_in_flight = 16;
    // How long a pull may wait for chunks to get somewhere before it is answered with not_yet, and how many may. A
    // client that is not answered for some time takes the server for hung, so that this must be well below that.
    absl::Duration hold = absl::Seconds(1);
    int max_held_pulls = 4096;
    // As in ExchangeStreams::Options.
    int max_streams = 4096;
    int max_streams_a_host = 1024;
    absl::Duration write_patience = WriteDeadlines::kPatience;
    // The service registers its metrics there. Outlives the service; null: they are not shown.
    Metrics* metrics = nullptr;
    // As in ChunkStore::Options.
    StorageTable storage = {};
  };

  // The value that max_message_bytes stands for; the server bounds messages that clients are still sending with it,
  // too.
  static uint64_t MessageBytes(const Options& options);

  // INVALID_ARGUMENT: an option is out of range. Errors of the snapshot store.
  static absl::StatusOr<std::unique_ptr<ParameterService>> Create(const Options& options);
  // As Shutdown().
  ~ParameterService() override;

  // Before BuildAndStart.
  void Register(grpc::ServerBuilder* builder);
  // After BuildAndStart.
  void Start();
  void CancelStreams();
  // As ChunkStore::SaveJobs. May be left out.
  absl::Status SaveJobs() { return store_.SaveJobs(); }
  // The figures of this server's part of a status.
  void WriteTo(v1::ServerFigures* figures) const;
  // Idempotent. REQUIRES: the grpc::Server was shut down, or never built.
  void Shutdown();

  grpc::Status OpenJob(grpc::ServerContext*, const v1::OpenJobRequest*, v1::OpenJobResponse*) override;
  grpc::Status GetLedgers(grpc::ServerContext*, const v1::GetLedgersRequest*, v1::GetLedgersResponse*) override;
  grpc::Status Freeze(grpc::ServerContext*, const v1::FreezeRequest*, v1::FreezeResponse*) override;
  grpc::Status Persist(grpc::ServerContext*, const v1::PersistRequest*, v1::PersistResponse*) override;
  grpc::Status RetainSnapshots(grpc::ServerContext*, const v1::RetainSnapshotsRequest*,
                               v1::RetainSnapshotsResponse*) override;
  grpc::Status Export(grpc::ServerContext*, const v1::ExportRequest*, v1::ExportResponse*) override;
  grpc::Status Thaw(grpc::ServerContext*, const v1::ThawRequest*, v1::ThawResponse*) override;
  grpc::Status ListSnapshots(grpc::ServerContext*, const v1::ListSnapshotsRequest*,
                             v1::ListSnapshotsResponse*) override;
  grpc::Status Skip(grpc::ServerContext*, const v1::SkipRequest*, v1::SkipResponse*) override;
  grpc::Status CloseJob(grpc::ServerContext*, const v1::CloseJobRequest*, v1::CloseJobResponse*) override;

 private:
  ParameterService(const Options& options, uint64_t epoch, std::unique_ptr<SnapshotStore> snapshots);
  void AddCalls();

  const std::string state_dir_;
  const std::unique_ptr<SnapshotStore> snapshots_;
  // Unused if the options have others.
  Metrics own_metrics_;
  StoreMetrics metrics_;
  ChunkStore store_;
  RequestGate gate_;
  // The calls but for Exchange.
  BoundedService calls_;
  ExchangeStreams streams_;
};

}  // namespace samovar
