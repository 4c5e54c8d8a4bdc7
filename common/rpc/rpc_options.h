// How the processes of a cluster talk to each other, for both ends: a Dialer and a Listener are made of the same
// options.
#pragma once

#include "absl/time/time.h"

namespace samovar {

// Largest message that either side accepts, in bytes. The data plane's messages stay far below it; a job's description
// with its nets is the largest.
inline constexpr int kMaxMessageBytes = 64 << 20;

struct RpcOptions {
  // A peer from which nothing comes for so long is asked for a sign of life, and given up if there is none within the
  // timeout: together the time in which a peer that vanished is noticed. At least 10 ms each. A shorter time costs a
  // packet each way more often, and gives up peers that are only busy.
  absl::Duration keepalive = absl::Seconds(10);
  absl::Duration keepalive_timeout = absl::Seconds(10);
};

}  // namespace samovar
