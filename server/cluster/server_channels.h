// ServerChannels keeps the connections of a coordinator to its parameter servers, one to each address, so that a call
// need not connect first. A channel is dropped when a call says that its server is not there, and, of more channels
// than the bound, the one that was used longest ago: those to servers that are gone do not pile up.
//
// Thread safety: all methods may be called from any thread; none blocks. Lock order: mu_ is a leaf lock.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/rpc/dialer.h"
#include "samovar/v1/parameter.grpc.pb.h"

namespace samovar {

class ServerChannels {
 public:
  using Stub = v1::ParameterService::Stub;
  // More servers than these are dialled anew at times. Each costs a connection at both ends.
  static constexpr size_t kMaxChannels = 1024;

  explicit ServerChannels(const Dialer& dialer, size_t max_channels = kMaxChannels)
      : dialer_(dialer), max_channels_(max_channels) {}
  ServerChannels(const ServerChannels&) = delete;
  ServerChannels& operator=(const ServerChannels&) = delete;

  struct Channel {
    // Stays usable after it was dropped here, until the last holder lets it go.
    std::shared_ptr<Stub> stub;
    // Whether it was there before: its server may have been started again since, which the first call finds out.
    bool kept = false;
  };
  // The channel to this address, "host:port". Dials one if there is none.
  Channel To(const std::string& address) ABSL_LOCKS_EXCLUDED(mu_);
  // A call on this channel has failed since the server was not there: the next To dials anew. Does nothing if another
  // one has taken its place.
  void Drop(const std::string& address, const Channel& channel) ABSL_LOCKS_EXCLUDED(mu_);
  // Drops all. Servers that want to end wait for their connections.
  void Clear() ABSL_LOCKS_EXCLUDED(mu_);

  size_t size() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Entry {
    std::shared_ptr<Stub> stub;
    // The value of uses_ when it was asked for last.
    uint64_t used = 0;
  };

  const Dialer dialer_;
  const size_t max_channels_;
  mutable absl::Mutex mu_;
  std::map<std::string, Entry> channels_ ABSL_GUARDED_BY(mu_);
  uint64_t uses_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace samovar
