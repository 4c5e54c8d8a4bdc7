#include "worker/train/coordinator_client.h"

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/rpc/deadlines.h"
#include "common/rpc/status.h"

namespace samovar {

using Stub = v1::CoordinatorService::Stub;

absl::Status CoordinatorClient::Explain(const absl::Status& status) {
  coordinator_.Note(status);
  return Annotate(status, absl::StrCat("coordinator ", address()));
}

template <typename Request, typename Response>
absl::StatusOr<Response> CoordinatorClient::Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                                              Response*),
                                                 const Request& request, absl::Duration deadline) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel, coordinator_.Get());
  const auto stub = v1::CoordinatorService::NewStub(channel);
  grpc::ClientContext context;
  SetDeadline(&context, deadline);
  Response response;
  const absl::Status status = FromGrpcStatus((*stub.*method)(&context, request, &response));
  if (!status.ok()) return Explain(status);
  return response;
}

absl::StatusOr<v1::JoinResponse> CoordinatorClient::Join(const v1::JoinRequest& request) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel, coordinator_.Get());
  const auto stub = v1::CoordinatorService::NewStub(channel);
  v1::JoinResponse response;
  const absl::Status status = CallOnceConnected(
      kDeadline, kDeadline, [&](grpc::ClientContext* context) { return stub->Join(context, request, &response); });
  if (!status.ok()) return Explain(status);
  return response;
}

absl::StatusOr<v1::HeartbeatResponse> CoordinatorClient::Heartbeat(const v1::HeartbeatRequest& request) {
  return Call(&Stub::Heartbeat, request, kDeadline);
}

absl::StatusOr<v1::LeaseResponse> CoordinatorClient::Lease(const v1::LeaseRequest& request) {
  return Call(&Stub::Lease, request, kDeadline);
}

absl::StatusOr<v1::GetAssignmentResponse> CoordinatorClient::GetAssignment(const v1::GetAssignmentRequest& request) {
  return Call(&Stub::GetAssignment, request, kControlDeadline);
}

absl::StatusOr<v1::LeaveResponse> CoordinatorClient::Leave(const v1::LeaveRequest& request) {
  return Call(&Stub::Leave, request, kDeadline);
}

}  // namespace samovar
