#include "server/monitor/process_log_service.h"

#include <algorithm>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/rpc/log_lines.h"
#include "common/rpc/status.h"
#include "common/telemetry/recent_log.h"

namespace samovar {
namespace {

// Whether there are new lines, or the reader has gone, is looked at this often.
constexpr absl::Duration kTick = absl::Milliseconds(200);

}  // namespace

void ProcessLogService::AddTo(BoundedService* calls) {
  calls->Add("/samovar.v1.ProcessLogService/GetProcessLog", this, &ProcessLogService::GetProcessLog);
}

grpc::Status ProcessLogService::GetProcessLog(grpc::ServerContext* context, const v1::GetProcessLogRequest* request,
                                              grpc::ServerWriter<v1::ProcessLogPart>* writer) {
  const absl::Cleanup leave = [this] { readers_.fetch_sub(1); };
  if (readers_.fetch_add(1) >= kMaxReaders)
    return ToGrpcStatus(absl::ResourceExhaustedError(absl::StrCat("more than ", kMaxReaders, " readers of logs")));
  MemberLogs::Cursor cursor;
  std::string lost;
  for (bool first = true; !context->IsCancelled(); first = false) {
    absl::StatusOr<v1::ProcessLogPart> part = read_(*request, &cursor);
    if (!part.ok()) return ToGrpcStatus(part.status());
    if (first || !part->lines().empty() || part->lost() != lost) {
      const WriteDeadlines::Write write(&deadlines_, context, part->ByteSizeLong());
      if (!writer->Write(*part)) break;
    }
    lost = part->lost();
    // A server may come back under its address; a worker that joins again is another member.
    if (!request->follow() || (!lost.empty() && !request->worker().empty())) return grpc::Status::OK;
    if (stopper_.WaitFor(kTick)) return ToGrpcStatus(absl::UnavailableError("the server is stopping"));
  }
  return ToGrpcStatus(absl::CancelledError("the reader has gone"));
}

absl::StatusOr<v1::ProcessLogPart> ReadOwnLog(const std::string& address, const v1::GetProcessLogRequest& request,
                                              MemberLogs::Cursor* cursor) {
  if (!request.worker().empty() || (!request.server().empty() && request.server() != address)) {
    return absl::FailedPreconditionError(absl::StrCat("this server, ", address,
                                                      ", is no coordinator and has its own log alone; name the server "
                                                      "of the cluster that was started with --coordinator"));
  }
  const bool first = cursor->member.empty();
  v1::ProcessLogPart part;
  part.set_member(absl::StrCat("server ", address));
  cursor->member = part.member();
  cursor->after = AddLogLines(ProcessLog(), cursor->after, RecentLog::kMaxBytes, part.mutable_lines());
  const int wanted = static_cast<int>(std::min<uint64_t>(request.lines(), RecentLog::kMaxLines));
  if (first && wanted > 0 && part.lines_size() > wanted)
    part.mutable_lines()->DeleteSubrange(0, part.lines_size() - wanted);
  return part;
}

}  // namespace samovar
