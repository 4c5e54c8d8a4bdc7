// A cluster as jobs see it, for tests that have no coordinator.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "common/rpc/dialer.h"
#include "server/cluster/cluster_view.h"

namespace samovar {

class FakeCluster final : public ClusterView {
 public:
  using Registered = std::function<std::vector<Membership::Server>()>;

  // `servers` answers Servers(), on any thread. Its openings are those after `last_opening`.
  explicit FakeCluster(Registered servers, absl::Duration patience = absl::Minutes(10), uint64_t last_opening = 0)
      : servers_(std::move(servers)), patience_(patience), openings_(last_opening) {}

  std::vector<Membership::Server> Servers() const override { return servers_(); }
  uint64_t Workers() const override { return 1; }
  uint64_t NextOpening() override { return ++openings_; }
  absl::Duration Patience() const override { return patience_; }
  ServerChannels& Channels() override { return channels_; }

 private:
  const Registered servers_;
  const absl::Duration patience_;
  std::atomic<uint64_t> openings_;
  ServerChannels channels_{Dialer(RpcOptions())};
};

}  // namespace samovar
