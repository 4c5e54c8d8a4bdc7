// Listener sets up a gRPC server as every process of a cluster has it: the same credentials, limits and keepalive as a
// Dialer's connections, on a port that no other process shares.
//
//   Listener listener({.address = "127.0.0.1:0"});
//   listener.builder()->RegisterService(&service);
//   std::unique_ptr<grpc::Server> server = *listener.Start();
//   listener.address();  // "127.0.0.1:45123"
//
// Thread safety: none; one thread.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/rpc/rpc_options.h"

namespace samovar {

class Listener {
 public:
  struct Options {
    // "host:port" or "unix:PATH"; port 0: any free one.
    std::string address;
    RpcOptions rpc = {};
    // Threads that serve synchronous calls; 0: as many as there are calls.
    int max_threads = 0;
    // Bytes of messages that clients are still sending, with those that are being worked on; beyond it gRPC ends calls,
    // any client's, with RESOURCE_EXHAUSTED; clients that send faster than
    // it ends calls are above the bound meanwhile. 0: without bound.
    uint64_t max_message_memory = 0;
  };

  explicit Listener(const Options& options);
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Takes the services, until Start.
  grpc::ServerBuilder* builder() { return &builder_; }

  // Serves from its return on. UNAVAILABLE: the address cannot be listened on. Call once.
  absl::StatusOr<std::unique_ptr<grpc::Server>> Start();

  // The address as it was given, with the real port after Start.
  const std::string& address() const { return address_; }
  // The port; 0 before Start.
  int port() const { return port_; }

 private:
  std::string address_;
  int port_ = 0;
  grpc::ServerBuilder builder_;
};

// INVALID_ARGUMENT unless the address is "host:port" whose host is loopback (127.x.x.x, ::1, localhost) or "unix:PATH":
// plain text is for this machine only. The message says what to do.
absl::Status CheckLoopbackAddress(const std::string& address);

}  // namespace samovar
