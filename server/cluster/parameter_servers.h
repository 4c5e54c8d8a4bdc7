// ParameterServers makes one call at all servers of a job at the same time, and waits for all answers.
//
// A server that cannot be reached makes the call fail at once (UNAVAILABLE); repeating it is the caller's affair. Only
// a call that failed on a connection from before is made once more on a new one, since the server may have been started
// again in between. Calls may be repeated: each names the state that is wanted, not a change.
//
// An object is cheap: addresses, which it asks ServerChannels for.
//
// Thread safety: all methods may be called from any thread; each blocks until all servers have answered, its deadline,
// or until the stopper stops (CANCELLED).
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/stopper.h"
#include "samovar/v1/parameter.pb.h"
#include "server/cluster/retention.h"
#include "server/cluster/server_channels.h"

namespace samovar {

class ParameterServers {
 public:
  // Channels and stopper outlive this.
  ParameterServers(std::vector<std::string> addresses, ServerChannels* channels, const Stopper* stopper)
      : addresses_(std::move(addresses)), channels_(channels), stopper_(stopper) {}

  const std::vector<std::string>& addresses() const { return addresses_; }

  // Each server's answer or error, in the order of the addresses.
  std::vector<absl::StatusOr<v1::OpenJobResponse>> OpenJob(
      absl::FunctionRef<v1::OpenJobRequest(size_t server)> request) const;

  // Answers in the order of the addresses. An error is that of the first server that has one, with its address.
  absl::StatusOr<std::vector<v1::ListSnapshotsResponse>> ListSnapshots(const std::string& job_id) const;
  absl::StatusOr<std::vector<v1::GetLedgersResponse>> GetLedgers(const std::string& job_id) const;
  // `opening`: that of the job which is meant; 0: any.
  absl::Status Freeze(const std::string& job_id, uint64_t epoch, uint64_t opening, uint64_t iteration) const;
  absl::Status Persist(const std::string& job_id, uint64_t epoch, uint64_t opening, uint64_t iteration) const;
  absl::Status RetainSnapshots(const std::string& job_id, uint64_t epoch, uint64_t opening,
                               const std::set<SnapshotId>& keep) const;
  // The file that each server has written into the directory.
  absl::StatusOr<std::vector<v1::ExportResponse>> Export(const std::string& job_id, uint64_t epoch, uint64_t opening,
                                                         uint64_t iteration, const std::string& directory) const;
  absl::Status Thaw(const std::string& job_id, uint64_t epoch, uint64_t opening, uint64_t iteration) const;
  // Where it is open as a lower opening than this.
  absl::Status CloseJob(const std::string& job_id, uint64_t epoch, uint64_t before_opening) const;

 private:
  const std::vector<std::string> addresses_;
  ServerChannels* const channels_;
  const Stopper* const stopper_;
};

}  // namespace samovar
