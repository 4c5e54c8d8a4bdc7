#include "server/cluster/cluster_view.h"

#include "common/base/clock.h"

namespace samovar {

std::vector<Membership::Server> LiveServers(const ClusterView& cluster) {
  std::vector<Membership::Server> servers = cluster.Servers();
  std::erase_if(servers, [](const Membership::Server& server) {
    return SteadyNow() - server.heard > Membership::kServerTimeout;
  });
  return servers;
}

std::vector<std::string> AddressesOf(const std::vector<Membership::Server>& servers) {
  std::vector<std::string> addresses;
  for (const Membership::Server& server : servers) addresses.push_back(server.registration.address());
  return addresses;
}

}  // namespace samovar
