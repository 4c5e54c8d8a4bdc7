// Dialer makes the connections of a process to the others of its cluster, all with the same credentials, limits and
// keepalive. The program makes one, and hands it down to every client, by its constructor or its options.
//
//   const Dialer dialer(options);
//   const auto stub = v1::JobService::NewStub(dialer.Dial(address));
//
// Thread safety: all methods may be called from any thread. Copies are cheap.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "common/rpc/rpc_options.h"

namespace samovar {

class Dialer {
 public:
  explicit Dialer(const RpcOptions& options);

  // A channel to "host:port" or "unix:PATH" with a connection of its own. Never blocks: the first call connects.
  std::shared_ptr<grpc::Channel> Dial(const std::string& address) const;

 private:
  RpcOptions options_;
  std::shared_ptr<grpc::ChannelCredentials> credentials_;
};

}  // namespace samovar
