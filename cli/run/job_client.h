// JobClient calls a cluster's coordinator. Every call has a deadline of seconds, but for Logs that follow.
//
// Where the coordinator is looked for in the cluster's home, its storage is waited for a minute at most in all. Then
// the storage is stopped: whatever the process would still ask of it ends with CANCELLED. A patient client waits for as
// long as the storage does, and leaves it as it is.
//
// Messages of errors name the coordinator, and say what to do if no process, or no coordinator, answers there.
// Thread safety: all methods may be called from any thread.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/report/curve.h"
#include "cli/run/cluster_options.h"
#include "common/home/coordinator_channel.h"
#include "common/rpc/dialer.h"
#include "common/storage/storage_table.h"
#include "samovar/v1/job.grpc.pb.h"
#include "samovar/v1/process_log.grpc.pb.h"
#include "samovar/v1/status.grpc.pb.h"

namespace samovar {

class JobClient {
 public:
  // Does not connect: the first call does.
  explicit JobClient(const ClusterOptions& options, bool is_patient = false);

  // The coordinator's, as far as it is known: before the first call to a cluster's home, the home.
  std::string address() const { return coordinator_->address(); }
  // As this client has connected; connects to the cluster's servers.
  const Dialer& dialer() const { return dialer_; }
  const std::shared_ptr<CoordinatorChannel>& coordinator() const { return coordinator_; }

  // Statuses are those of job.proto and status.proto.
  absl::StatusOr<std::string> Submit(const v1::JobSpec& spec) const;
  absl::StatusOr<v1::JobStatus> Get(const std::string& job_id) const;
  absl::StatusOr<v1::ListJobsResponse> List() const;
  absl::Status Cancel(const std::string& job_id) const;
  absl::Status Forget(const std::string& job_id) const;
  absl::StatusOr<v1::JobSpec> GetSpec(const std::string& job_id) const;
  // Asks for a snapshot of a running job, which is to be exported to a directory if one is given.
  absl::StatusOr<v1::SnapshotResponse> Snapshot(const std::string& job_id,
                                                const std::string& export_directory = "") const;
  // `until`: ends by then (SteadyNow()), whatever waits.
  absl::StatusOr<v1::ClusterStatus> ClusterStatus(absl::Time until = absl::InfiniteFuture()) const;
  // As FetchCurve.
  absl::StatusOr<Curve> History(const std::string& job_id, uint64_t first_iteration, uint32_t max_points) const;
  // Calls `take` with each event that has a higher number than `after`; with `follow` until the job has ended.
  absl::Status Logs(const std::string& job_id, uint64_t after, bool follow,
                    absl::FunctionRef<void(const v1::JobEvent&)> take) const;

  // Calls `take` with each part of a member's log; with `follow` until the member is lost.
  absl::Status ProcessLog(const v1::GetProcessLogRequest& request,
                          absl::FunctionRef<void(const v1::ProcessLogPart&)> take) const;

  // The coordinator is waited for no longer: ends what waits for the cluster's home, unless the client is patient.
  void GiveUp() const {
    if (!is_patient_) storage_.Stop();
  }
  // The status of a call in words for the user.
  absl::Status Explain(const grpc::Status& status) const;

 private:
  // Whether there is a connection, the next call says. Errors as CoordinatorChannel::Get's.
  absl::StatusOr<std::shared_ptr<grpc::Channel>> AwaitConnection(absl::Time until) const;
  template <typename Service, typename Response, typename Request>
  absl::StatusOr<Response> Call(grpc::Status (Service::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                                const Request& request, absl::Duration deadline,
                                absl::Time until = absl::InfiniteFuture()) const;

  // Where the coordinator is looked for.
  const std::string place_;
  // For messages: " (as SAMOVAR_COORDINATOR says)"; empty: the command line names it.
  const std::string source_;
  const StorageTable storage_;
  const bool is_patient_;
  const Dialer dialer_;
  const std::shared_ptr<CoordinatorChannel> coordinator_;
};

}  // namespace samovar
