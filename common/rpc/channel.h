// Channels, deadlines and limits that all clients and servers of ours share.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"

namespace samovar {

// Largest message that either side accepts, in bytes. The data plane's messages stay far below it; a job's description
// with its nets is the largest.
inline constexpr int kMaxMessageBytes = 64 << 20;

// Deadline of a control-plane call that does no heavy work.
inline constexpr absl::Duration kControlDeadline = absl::Seconds(10);

// A plain-text channel to "host:port" or "unix:PATH" with its own connection, message limit and keepalive: a peer that
// vanished is noticed within 20 s even while no data flows. Never blocks.
std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address);

// Sets limits and keepalive of a server to match MakeChannel's.
void ApplyServerLimits(grpc::ServerBuilder* builder);

// That long from now, on the steady clock, for whatever of gRPC takes a moment.
gpr_timespec DeadlineIn(absl::Duration time);

// The call ends with DEADLINE_EXCEEDED that long from now.
void SetDeadline(grpc::ClientContext* context, absl::Duration timeout);

// Makes the call, which takes no longer than the deadline. If the peer cannot be reached it is made again, and takes no
// longer than the patience, most of it for a connection: gRPC fails a call at once after a connection has failed, and
// makes another connection only while a call waits for it. Returns the first call's error, which says more than a
// deadline, if the second one fails as well. The call must bear being repeated.
absl::Status CallOnceConnected(absl::Duration deadline, absl::Duration patience,
                               absl::FunctionRef<grpc::Status(grpc::ClientContext*)> call);

// INVALID_ARGUMENT unless the address is "host:port" whose host is loopback (127.x.x.x, ::1, localhost) or "unix:PATH":
// plain text is for this machine only. The message says what to do.
absl::Status CheckLoopbackAddress(const std::string& address);

}  // namespace samovar
