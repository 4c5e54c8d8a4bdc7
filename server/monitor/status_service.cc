#include "server/monitor/status_service.h"

namespace samovar {

void StatusService::AddTo(BoundedService* calls) {
  calls->Add("/samovar.v1.StatusService/GetStatus", this, &StatusService::GetStatus);
}

grpc::Status StatusService::GetStatus(grpc::ServerContext*, const v1::GetStatusRequest*, v1::ClusterStatus* response) {
  *response = coordinator_.Status();
  return grpc::Status::OK;
}

}  // namespace samovar
