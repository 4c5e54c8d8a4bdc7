// ChunkStore is a parameter server without the network: jobs, their chunks, and the operations on them.
//
// Each method takes a message from outside, which may be garbage, and answers with a status whose codes the service's
// proto documents.
// Thread safety: all methods may be called from any thread; they block except Exchange.
// Invariants:
//   (1) a job is in jobs_ only while all its chunks are filled or restored.
//   (2) epoch_ never falls.
// Lock order: mu_ is a leaf lock; it is not held while a task runs or is waited for.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/stopper.h"
#include "common/parameters/exchange_format.h"
#include "common/storage/storage_table.h"
#include "samovar/v1/parameter.pb.h"
#include "samovar/v1/status.pb.h"
#include "server/snapshot/snapshot_store.h"
#include "server/store/hosted_job.h"
#include "server/store/lanes.h"
#include "server/store/memory_budget.h"
#include "server/store/store_metrics.h"

namespace samovar {

class InitialValues;

// One request on its way through the server, with its answer.
struct ExchangeCall {
  ReceivedRequest request;
  // Without its weights: these are encoded already, one entry for each chunk that was pulled.
  v1::ExchangeResponse response;
  std::vector<grpc::Slice> weights;
  // For the request until it is answered, and for the weights until they are sent.
  MemoryBudget::Reservation request_memory;
  std::vector<MemoryBudget::Reservation> answer_memory;
};

class ChunkStore {
 public:
  struct Options {
    int apply_threads = 1;
    // Bytes that weights, states and frozen copies of all jobs may take together.
    uint64_t max_parameter_bytes = uint64_t{1} << 32;
    // Bytes of requests that are being worked on, and of answers that clients have not taken yet, together.
    uint64_t max_message_bytes = uint64_t{256} << 20;
    // Requests that may wait in each lane; each holds its payloads meanwhile.
    size_t max_queued = 1024;
    // Pulls that may wait for chunks to get somewhere; each holds a few hundred bytes meanwhile.
    int max_held_pulls = 4096;
    // How long one may wait.
    absl::Duration hold = absl::Seconds(1);
    // The highest epoch that the snapshot store has noted.
    uint64_t epoch = 0;
    // Where the files are that jobs begin from, and where their shares are exported to.
    StorageTable storage = {};
  };

  // REQUIRES: apply_threads >= 1. The snapshot store and the metrics outlive this.
  ChunkStore(const Options& options, SnapshotStore* snapshots, StoreMetrics* metrics);
  // As Stop().
  ~ChunkStore();

  absl::Status OpenJob(const v1::OpenJobRequest& request, v1::OpenJobResponse* response);
  absl::Status GetLedgers(const v1::GetLedgersRequest& request, v1::GetLedgersResponse* response);
  absl::Status Freeze(const v1::FreezeRequest& request);
  absl::Status Persist(const v1::PersistRequest& request, v1::PersistResponse* response);
  absl::Status RetainSnapshots(const v1::RetainSnapshotsRequest& request, v1::RetainSnapshotsResponse* response);
  absl::Status Export(const v1::ExportRequest& request, v1::ExportResponse* response);
  absl::Status Thaw(const v1::ThawRequest& request);
  absl::Status ListSnapshots(const v1::ListSnapshotsRequest& request, v1::ListSnapshotsResponse* response);
  absl::Status Skip(const v1::SkipRequest& request, v1::SkipResponse* response);
  absl::Status CloseJob(const v1::CloseJobRequest& request);

  // Carries out the request and fills the response, errors included; then calls done, once, on the calling thread or on
  // one of the store's. `done` must not block.
  void Exchange(std::shared_ptr<ExchangeCall> call, std::function<void(std::shared_ptr<ExchangeCall>)> done);

  // Writes a snapshot of each job whose newest one lacks iterations that all chunks here hold, under their number. Of
  // jobs whose iterations are applied in order it does not: a server's own snapshot is of no use to them. For a server
  // that ends; blocks for the disk, and returns the first error. REQUIRES: nothing is pushed any more
  absl::Status SaveJobs();

  // How many jobs, chunks and bytes there are, as a server's status has them.
  void WriteTo(v1::ServerFigures* figures) const;

  // Answers the pulls that wait with UNAVAILABLE, and those that would have to wait later. Does not block.
  void EndWaits();

  // Finishes the queued tasks and ends the threads. From then on, operations on chunks are refused with UNAVAILABLE.
  void Stop();

 private:
  friend class ExchangeOperation;

  // Checks a coordinator's call; changes nothing. FAILED_PRECONDITION: older than one seen. INVALID_ARGUMENT: no
  // coordinator has come to it.
  absl::Status CheckEpoch(uint64_t epoch) const ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status CheckEpochLocked(uint64_t epoch) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Admits a coordinator's call that will be done: as CheckEpoch, and older ones are refused from now on, also by a
  // later process of this server. Blocks for the disk if the epoch is new. UNAVAILABLE: the disk does not take it;
  // nothing is changed. REQUIRES: all else of the request was checked
  absl::Status AdmitCoordinator(uint64_t epoch) ABSL_LOCKS_EXCLUDED(mu_);
  // Admits a worker's call, which comes after its coordinator's. FAILED_PRECONDITION: its epoch is older or newer than
  // the coordinator's.
  absl::Status AdmitWorker(uint64_t epoch) const ABSL_LOCKS_EXCLUDED(mu_);
  // NOT_FOUND: not open.
  absl::StatusOr<std::shared_ptr<HostedJob>> FindJob(const std::string& job_id) const ABSL_LOCKS_EXCLUDED(mu_);

  // Claims the opening of a job: waits while another call opens it; returns the job if it is open by then, or null and
  // the claim, which EndOpen ends.
  std::shared_ptr<HostedJob> BeginOpen(const std::string& job_id) ABSL_LOCKS_EXCLUDED(mu_);
  void EndOpen(const std::string& job_id) ABSL_LOCKS_EXCLUDED(mu_);
  // REQUIRES: the claim.
  absl::Status OpenNew(const v1::OpenJobRequest& request) ABSL_LOCKS_EXCLUDED(mu_);
  // The job of its coordinator's call about its open chunks, if the call means this opening of it. Changes nothing.
  absl::StatusOr<std::shared_ptr<HostedJob>> FindOpening(const std::string& job_id, uint64_t epoch,
                                                         uint64_t opening) const ABSL_LOCKS_EXCLUDED(mu_);
  // Null: it is not open, or not as the opening that the call names. Waits while the job is being opened.
  std::shared_ptr<HostedJob> FindToClose(const v1::CloseJobRequest& request) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::StatusOr<std::shared_ptr<HostedJob>> MakeJob(const v1::OpenJobRequest& request);
  // With the fillers' values, and the model files' values in their place.
  absl::Status Fill(const std::shared_ptr<HostedJob>& job, const InitialValues& initial);
  absl::Status RestoreChunks(HostedJob* job, uint64_t iteration);

  std::vector<std::shared_ptr<HostedJob>> Jobs() const ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status SaveJob(const std::shared_ptr<HostedJob>& job);
  // As SnapshotStore::Write.
  absl::StatusOr<uint64_t> WriteSnapshot(const HostedJob& job, uint64_t iteration,
                                         const std::vector<ChunkImage>& images);
  // Answers pulls that have waited for too long, until Stop.
  void ExpireWaits();

  // Not guarded.
  const Options options_;
  SnapshotStore* const snapshots_;
  StoreMetrics& metrics_;
  MemoryBudget budget_;
  MemoryBudget messages_;
  // A count only: orders nothing.
  std::atomic<int> held_pulls_{0};
  Stopper stopper_;

  mutable absl::Mutex mu_;
  // The snapshot store has noted it.
  uint64_t epoch_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, std::shared_ptr<HostedJob>> jobs_ ABSL_GUARDED_BY(mu_);
  std::set<std::string> opening_ ABSL_GUARDED_BY(mu_);

  // Last, so that their tasks end before the members that they use.
  Lanes lanes_;
  // Reads frozen copies: its tasks may do I/O, which must not hold up a lane of chunks.
  Lanes frozen_reader_;
  std::thread expirer_;
};

}  // namespace samovar
