#include "server/coordinator/coordinator_service.h"

#include "absl/strings/str_cat.h"
#include "common/base/printable.h"
#include "common/base/version.h"
#include "common/rpc/status.h"

namespace samovar {
namespace {

template <typename Response>
grpc::Status Answer(absl::StatusOr<Response> result, Response* response) {
  if (!result.ok()) return ToGrpcStatus(result.status());
  *response = *std::move(result);
  return grpc::Status::OK;
}

absl::Status CheckVersion(const std::string& what, const std::string& version) {
  if (FitsVersion(version)) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(what, "'s version \"", Printable(version, kMaxPeerNameBytes),
                                                    "\" does not fit this coordinator's, ", Version(),
                                                    "; install the same release on all machines"));
}

}  // namespace

void CoordinatorService::AddTo(BoundedService* calls) {
  calls->Add("/samovar.v1.CoordinatorService/RegisterServer", this, &CoordinatorService::RegisterServer);
  calls->Add("/samovar.v1.CoordinatorService/Join", this, &CoordinatorService::Join);
  calls->Add("/samovar.v1.CoordinatorService/Heartbeat", this, &CoordinatorService::Heartbeat);
  calls->Add("/samovar.v1.CoordinatorService/Lease", this, &CoordinatorService::Lease);
  calls->Add("/samovar.v1.CoordinatorService/GetAssignment", this, &CoordinatorService::GetAssignment);
  calls->Add("/samovar.v1.CoordinatorService/Leave", this, &CoordinatorService::Leave);
}

grpc::Status CoordinatorService::RegisterServer(grpc::ServerContext*, const v1::RegisterServerRequest* request,
                                                v1::RegisterServerResponse* response) {
  if (const absl::Status fits = CheckVersion("the server", request->version()); !fits.ok()) {
    coordinator_.NoteRefused(absl::StrCat("server ", request->address()), request->host(), fits);
    return ToGrpcStatus(fits);
  }
  return Answer(coordinator_.RegisterServer(*request), response);
}

grpc::Status CoordinatorService::Join(grpc::ServerContext*, const v1::JoinRequest* request,
                                      v1::JoinResponse* response) {
  if (const absl::Status fits = CheckVersion("the worker", request->version()); !fits.ok()) {
    coordinator_.NoteRefused(absl::StrCat("worker ", request->name()), request->host(), fits);
    return ToGrpcStatus(fits);
  }
  *response = coordinator_.Join(*request);
  return grpc::Status::OK;
}

grpc::Status CoordinatorService::Heartbeat(grpc::ServerContext*, const v1::HeartbeatRequest* request,
                                           v1::HeartbeatResponse* response) {
  return Answer(coordinator_.Heartbeat(*request), response);
}

grpc::Status CoordinatorService::Lease(grpc::ServerContext*, const v1::LeaseRequest* request,
                                       v1::LeaseResponse* response) {
  return Answer(coordinator_.Lease(*request), response);
}

grpc::Status CoordinatorService::GetAssignment(grpc::ServerContext*, const v1::GetAssignmentRequest* request,
                                               v1::GetAssignmentResponse* response) {
  return Answer(coordinator_.GetAssignment(*request), response);
}

grpc::Status CoordinatorService::Leave(grpc::ServerContext*, const v1::LeaveRequest* request, v1::LeaveResponse*) {
  coordinator_.Leave(*request);
  return grpc::Status::OK;
}

}  // namespace samovar
