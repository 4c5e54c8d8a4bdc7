#include "common/rpc/credentials.h"

namespace samovar {

std::shared_ptr<grpc::ChannelCredentials> DialerCredentials(const RpcOptions&) {
  return grpc::InsecureChannelCredentials();
}

std::shared_ptr<grpc::ServerCredentials> ListenerCredentials(const RpcOptions&) {
  return grpc::InsecureServerCredentials();
}

}  // namespace samovar
