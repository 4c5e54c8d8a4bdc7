#include "common/rpc/standard_services.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>

namespace samovar {

void AddStandardServices() {
  static const bool added = [] {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    return true;
  }();
  (void)added;
}

void SetServing(grpc::Server* server, std::initializer_list<const char*> services, bool serving) {
  grpc::HealthCheckServiceInterface* const health = server->GetHealthCheckService();
  if (health == nullptr) return;
  for (const char* service : services) health->SetServingStatus(service, serving);
  health->SetServingStatus("", serving);
}

}  // namespace samovar
