#include "server/store/parameter_service.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/memory_limit.h"
#include "common/base/status_macros.h"
#include "common/rpc/status.h"

namespace samovar {
namespace {

constexpr int kMaxThreads = 1024;
// Some of the largest messages of both kinds.
constexpr uint64_t kLeastMessageBytes = uint64_t{256} << 20;

// The rest is for messages, for the files that a job begins from, and for other processes.
uint64_t ParameterBytes(const ParameterService::Options& options) {
  return options.max_parameter_bytes != 0 ? options.max_parameter_bytes : MemoryLimitBytes() / 4 * 3;
}

ChunkStore::Options StoreOptions(const ParameterService::Options& options, uint64_t epoch) {
  ChunkStore::Options result;
  result.apply_threads = options.apply_threads;
  result.max_parameter_bytes = ParameterBytes(options);
  result.max_message_bytes = ParameterService::MessageBytes(options);
  result.hold = options.hold;
  result.storage = options.storage;
  result.max_held_pulls = options.max_held_pulls;
  result.epoch = epoch;
  return result;
}

absl::Status CheckCount(const char* name, int value) {
  if (value >= 1 && value <= kMaxThreads) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(name, " must be 1 to ", kMaxThreads, ", not ", value));
}

}  // namespace

uint64_t ParameterService::MessageBytes(const Options& options) {
  if (options.max_message_bytes != 0) return options.max_message_bytes;
  return std::max(ParameterBytes(options) / 4, kLeastMessageBytes);
}

absl::StatusOr<std::unique_ptr<ParameterService>> ParameterService::Create(const Options& options) {
  SAMOVAR_RETURN_IF_ERROR(CheckCount("apply_threads", options.apply_threads));
  SAMOVAR_RETURN_IF_ERROR(CheckCount("queue_threads", options.queue_threads));
  SAMOVAR_RETURN_IF_ERROR(CheckCount("max_in_flight", options.max_in_flight));
  if (options.state_dir.empty())
    return absl::InvalidArgumentError("state_dir is empty; a server needs a place for its snapshots");
  SAMOVAR_ASSIGN_OR_RETURN(std::unique_ptr<SnapshotStore> snapshots,
                           SnapshotStore::Open(options.state_dir + "/snapshots"));
  SAMOVAR_ASSIGN_OR_RETURN(const uint64_t epoch, snapshots->Epoch());
  return std::unique_ptr<ParameterService>(new ParameterService(options, epoch, std::move(snapshots)));
}

ParameterService::ParameterService(const Options& options, uint64_t epoch, std::unique_ptr<SnapshotStore> snapshots)
    : state_dir_(options.state_dir),
      snapshots_(std::move(snapshots)),
      metrics_(options.metrics != nullptr ? options.metrics : &own_metrics_),
      store_(StoreOptions(options, epoch), snapshots_.get(), &metrics_),
      gate_({}, metrics_.counter(StoreMetrics::Refusal::kBusy)),
      calls_(&gate_),
      streams_({options.queue_threads, options.max_in_flight, options.max_streams, options.max_streams_a_host,
                options.write_patience},
               &store_, &metrics_) {
  AddCalls();
}

void ParameterService::AddCalls() {
  calls_.Add("/samovar.v1.ParameterService/OpenJob", this, &ParameterService::OpenJob);
  calls_.Add("/samovar.v1.ParameterService/GetLedgers", this, &ParameterService::GetLedgers);
  calls_.Add("/samovar.v1.ParameterService/Freeze", this, &ParameterService::Freeze);
  calls_.Add("/samovar.v1.ParameterService/Persist", this, &ParameterService::Persist);
  calls_.Add("/samovar.v1.ParameterService/RetainSnapshots", this, &ParameterService::RetainSnapshots);
  calls_.Add("/samovar.v1.ParameterService/Export", this, &ParameterService::Export);
  calls_.Add("/samovar.v1.ParameterService/Thaw", this, &ParameterService::Thaw);
  calls_.Add("/samovar.v1.ParameterService/ListSnapshots", this, &ParameterService::ListSnapshots);
  calls_.Add("/samovar.v1.ParameterService/Skip", this, &ParameterService::Skip);
  calls_.Add("/samovar.v1.ParameterService/CloseJob", this, &ParameterService::CloseJob);
}

ParameterService::~ParameterService() { Shutdown(); }

void ParameterService::Register(grpc::ServerBuilder* builder) {
  builder->RegisterService(&calls_);
  streams_.Register(builder);
}

void ParameterService::WriteTo(v1::ServerFigures* figures) const {
  metrics_.WriteTo(figures);
  store_.WriteTo(figures);
  std::error_code error;
  const std::filesystem::space_info disk = std::filesystem::space(state_dir_, error);
  if (error) return;
  figures->set_disk_free_bytes(disk.available);
  figures->set_disk_bytes(disk.capacity);
}

void ParameterService::Start() { streams_.Start(); }

void ParameterService::CancelStreams() {
  streams_.Cancel();
  // Their requests must be answered before they are gone.
  store_.EndWaits();
}

void ParameterService::Shutdown() {
  streams_.Shutdown();
  store_.Stop();
}

grpc::Status ParameterService::OpenJob(grpc::ServerContext*, const v1::OpenJobRequest* request,
                                       v1::OpenJobResponse* response) {
  return ToGrpcStatus(store_.OpenJob(*request, response));
}

grpc::Status ParameterService::GetLedgers(grpc::ServerContext*, const v1::GetLedgersRequest* request,
                                          v1::GetLedgersResponse* response) {
  return ToGrpcStatus(store_.GetLedgers(*request, response));
}

grpc::Status ParameterService::Freeze(grpc::ServerContext*, const v1::FreezeRequest* request, v1::FreezeResponse*) {
  return ToGrpcStatus(store_.Freeze(*request));
}

grpc::Status ParameterService::Persist(grpc::ServerContext*, const v1::PersistRequest* request,
                                       v1::PersistResponse* response) {
  return ToGrpcStatus(store_.Persist(*request, response));
}

grpc::Status ParameterService::RetainSnapshots(grpc::ServerContext*, const v1::RetainSnapshotsRequest* request,
                                               v1::RetainSnapshotsResponse* response) {
  return ToGrpcStatus(store_.RetainSnapshots(*request, response));
}

grpc::Status ParameterService::Export(grpc::ServerContext*, const v1::ExportRequest* request,
                                      v1::ExportResponse* response) {
  return ToGrpcStatus(store_.Export(*request, response));
}

grpc::Status ParameterService::Thaw(grpc::ServerContext*, const v1::ThawRequest* request, v1::ThawResponse*) {
  return ToGrpcStatus(store_.Thaw(*request));
}

grpc::Status ParameterService::ListSnapshots(grpc::ServerContext*, const v1::ListSnapshotsRequest* request,
                                             v1::ListSnapshotsResponse* response) {
  return ToGrpcStatus(store_.ListSnapshots(*request, response));
}

grpc::Status ParameterService::Skip(grpc::ServerContext*, const v1::SkipRequest* request, v1::SkipResponse* response) {
  return ToGrpcStatus(store_.Skip(*request, response));
}

grpc::Status ParameterService::CloseJob(grpc::ServerContext*, const v1::CloseJobRequest* request,
                                        v1::CloseJobResponse*) {
  return ToGrpcStatus(store_.CloseJob(*request));
}

}  // namespace samovar
