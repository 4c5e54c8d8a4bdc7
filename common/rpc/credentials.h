// The credentials of both ends of a connection: plain text, so far. No other file makes any.
#pragma once

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

#include <memory>

#include "common/rpc/rpc_options.h"

namespace samovar {

// For the end that dials.
std::shared_ptr<grpc::ChannelCredentials> DialerCredentials(const RpcOptions& options);
// For the end that listens.
std::shared_ptr<grpc::ServerCredentials> ListenerCredentials(const RpcOptions& options);

}  // namespace samovar
