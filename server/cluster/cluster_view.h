// ClusterView shows jobs the cluster that they run in. The coordinator implements it.
//
// Thread safety: all methods may be called at any time from any thread. No caller holds a lock of a job's or of the
// queue's.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "server/cluster/membership.h"
#include "server/cluster/server_channels.h"

namespace samovar {

class ClusterView {
 public:
  virtual ~ClusterView() = default;

  // All servers that have registered, silent ones as well.
  virtual std::vector<Membership::Server> Servers() const = 0;
  // The number of workers that have joined.
  virtual uint64_t Workers() const = 0;
  // Another number with each call, higher than all before, across coordinators: names an opening
  // (OpenJobRequest.opening).
  virtual uint64_t NextOpening() = 0;
  // How long a job waits for a server that it needs before it fails.
  virtual absl::Duration Patience() const = 0;
  // The connections to the servers, which all jobs share.
  virtual ServerChannels& Channels() = 0;
};

// The servers that have been heard of lately.
std::vector<Membership::Server> LiveServers(const ClusterView& cluster);

std::vector<std::string> AddressesOf(const std::vector<Membership::Server>& servers);

}  // namespace samovar
