// How long an operation of a ParameterClient may block, and how it reports its wait meanwhile.
//
// Thread safety: plain values.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/base/stopper.h"

namespace samovar {

// A server that owes an answer.
struct SilentServer {
  // "host:port".
  std::string address;
  // How long it has sent none.
  absl::Duration silent;
};

// The servers and workers that an operation waits for.
struct Waiting {
  // Longer than a server holds a pull before it says that the pull has to wait.
  static constexpr absl::Duration kSilence = absl::Milliseconds(1500);

  // Servers that have been silent for kSilence, each once.
  std::vector<SilentServer> silent;
  // All servers answer, and a pull has to wait for pushes of other workers.
  bool for_workers = false;
  // All servers hold the gradients of the push under way.
  bool pushed = false;
};

// How long a call may block.
struct WaitLimit {
  // By SteadyNow() (clock.h). A server that answers that a pull has to wait for other workers gets the time until the
  // deadline anew; the others do not.
  absl::Time deadline = absl::InfiniteFuture();
  // Ends the wait within a tenth of a second. May be null.
  const Stopper* stopper = nullptr;
  // Called ten times a second while the operation waits, by the thread that waits. May be empty.
  std::function<void(const Waiting&)> told = {};
};

}  // namespace samovar
