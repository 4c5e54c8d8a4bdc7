#include "common/rpc/dialer.h"

#include "common/rpc/credentials.h"

namespace samovar {
namespace {

// A peer that refuses connections is tried again after the first of these, and then ever more seldom, down to once in
// the last, with gRPC's own jitter: one that was started again is found within half a second.
constexpr int kFirstReconnectMs = 100;
constexpr int kLastReconnectMs = 500;
// An attempt that nothing answers, of a host that is gone or of a peer that is busy, ends after this long.
constexpr int kConnectTimeoutMs = 2'000;

}  // namespace

Dialer::Dialer(const RpcOptions& options) : options_(options), credentials_(DialerCredentials(options)) {}

std::shared_ptr<grpc::Channel> Dialer::Dial(const std::string& address) const {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, static_cast<int>(absl::ToInt64Milliseconds(options_.keepalive)));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                   static_cast<int>(absl::ToInt64Milliseconds(options_.keepalive_timeout)));
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kFirstReconnectMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kLastReconnectMs);
  // By this name gRPC means how long an attempt may take.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectTimeoutMs);
  // Proxies of the environment are for the web, not for the cluster's own processes.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(address, credentials_, arguments);
}

}  // namespace samovar
