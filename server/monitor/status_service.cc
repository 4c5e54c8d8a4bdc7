#include "server/monitor/status_service.h"

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/rpc/status.h"

namespace samovar {

void StatusService::AddTo(BoundedService* calls) {
  calls->Add("/samovar.v1.StatusService/GetStatus", this, &StatusService::GetStatus);
  calls->Add("/samovar.v1.StatusService/GetHistory", this, &StatusService::GetHistory);
}

grpc::Status StatusService::GetStatus(grpc::ServerContext*, const v1::GetStatusRequest*, v1::ClusterStatus* response) {
  *response = coordinator_.Status();
  return grpc::Status::OK;
}

grpc::Status StatusService::GetHistory(grpc::ServerContext* context, const v1::GetHistoryRequest* request,
                                       grpc::ServerWriter<v1::HistoryBlock>* writer) {
  const int others = histories_.fetch_add(1);
  const absl::Cleanup leave = [this] { histories_.fetch_sub(1); };
  if (others >= kMaxHistories) {
    return ToGrpcStatus(absl::ResourceExhaustedError(
        absl::StrCat("more than ", kMaxHistories, " histories are sent at this moment; ask again later")));
  }
  return ToGrpcStatus(coordinator_.History(*request, [&](const v1::HistoryBlock& block) {
    const WriteDeadlines::Write write(&deadlines_, context, block.ByteSizeLong());
    return writer->Write(block);
  }));
}

}  // namespace samovar
