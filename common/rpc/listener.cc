#include "common/rpc/listener.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/rpc/credentials.h"

namespace samovar {
namespace {

bool IsLoopbackHost(absl::string_view host) {
  if (host == "localhost" || host == "[::1]") return true;
  return absl::StartsWith(host, "127.") && host.find_first_not_of("0123456789.") == absl::string_view::npos;
}

// "127.0.0.1:0" with the port that was really bound.
std::string WithPort(const std::string& address, int port) {
  if (absl::StartsWith(address, "unix:")) return address;
  const size_t colon = address.rfind(':');
  return absl::StrCat(absl::string_view(address).substr(0, colon), ":", port);
}

}  // namespace

Listener::Listener(const Options& options) : address_(options.address) {
  const auto keepalive_ms = static_cast<int>(absl::ToInt64Milliseconds(options.rpc.keepalive));
  builder_.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder_.SetMaxSendMessageSize(kMaxMessageBytes);
  // Two servers must not share a port and each get half of the calls.
  builder_.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder_.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, keepalive_ms);
  builder_.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                              static_cast<int>(absl::ToInt64Milliseconds(options.rpc.keepalive_timeout)));
  builder_.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder_.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, keepalive_ms / 2);
  if (options.max_threads > 0 || options.max_message_memory > 0) {
    grpc::ResourceQuota quota("samovar");
    if (options.max_threads > 0) quota.SetMaxThreads(options.max_threads);
    if (options.max_message_memory > 0) quota.Resize(options.max_message_memory);
    builder_.SetResourceQuota(quota);
  }
  builder_.AddListeningPort(address_, ListenerCredentials(options.rpc), &port_);
}

absl::StatusOr<std::unique_ptr<grpc::Server>> Listener::Start() {
  std::unique_ptr<grpc::Server> server = builder_.BuildAndStart();
  if (server == nullptr || port_ == 0) {
    return absl::UnavailableError(absl::StrCat(
        "cannot listen on ", address_, "; is another process using the port, or is the address not this machine's?"));
  }
  address_ = WithPort(address_, port_);
  return server;
}

absl::Status CheckLoopbackAddress(const std::string& address) {
  if (absl::StartsWith(address, "unix:")) return absl::OkStatus();
  const size_t colon = address.rfind(':');
  int port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(absl::string_view(address).substr(colon + 1), &port) ||
      port < 0 || port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat("address \"", address, "\" is not HOST:PORT"));
  }
  if (!IsLoopbackHost(absl::string_view(address).substr(0, colon))) {
    return absl::InvalidArgumentError(absl::StrCat("address \"", address,
                                                   "\" is not on loopback, and the connection would be in plain text; "
                                                   "listen on 127.0.0.1, or accept that with --allow-plaintext"));
  }
  return absl::OkStatus();
}

}  // namespace samovar
