// ProcessLogService on gRPC: the newest lines of members' logs, at the coordinator; of its own, at any other server.
//
// Thread safety: as the Coordinator.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "common/base/stopper.h"
#include "common/rpc/bounded_service.h"
#include "common/rpc/write_deadlines.h"
#include "samovar/v1/process_log.grpc.pb.h"
#include "server/coordinator/member_logs.h"

namespace samovar {

class ProcessLogService final : public v1::ProcessLogService::Service {
 public:
  // Readers that follow hold a thread each; one more is refused with RESOURCE_EXHAUSTED.
  static constexpr int kMaxReaders = 32;

  // As MemberLogs::Read.
  using Read = std::function<absl::StatusOr<v1::ProcessLogPart>(const v1::GetProcessLogRequest& request,
                                                                MemberLogs::Cursor* cursor)>;

  // `read` may be called from any thread. Both outlive the service.
  ProcessLogService(Read read, const Stopper* stopper) : read_(std::move(read)), stopper_(*stopper) {}

  grpc::Status GetProcessLog(grpc::ServerContext*, const v1::GetProcessLogRequest*,
                             grpc::ServerWriter<v1::ProcessLogPart>*) override;

  // Serves its calls there.
  void AddTo(BoundedService* calls);

 private:
  const Read read_;
  const Stopper& stopper_;
  WriteDeadlines deadlines_;
  // A count only; orders nothing.
  std::atomic<int> readers_{0};
};

// The lines of this process, for a server that is no coordinator and has this address. FAILED_PRECONDITION: another
// member's log is asked for.
absl::StatusOr<v1::ProcessLogPart> ReadOwnLog(const std::string& address, const v1::GetProcessLogRequest& request,
                                              MemberLogs::Cursor* cursor);

}  // namespace samovar
