#include "server/cluster/server_channels.h"

#include <algorithm>

namespace samovar {

ServerChannels::Channel ServerChannels::To(const std::string& address) {
  absl::MutexLock lock(&mu_);
  const auto found = channels_.find(address);
  if (found != channels_.end()) {
    found->second.used = ++uses_;
    return {found->second.stub, /*kept=*/true};
  }
  if (channels_.size() >= max_channels_) {
    channels_.erase(std::min_element(channels_.begin(), channels_.end(),
                                     [](const auto& a, const auto& b) { return a.second.used < b.second.used; }));
  }
  // Dialling does not connect, hence does not block.
  std::shared_ptr<Stub> stub = v1::ParameterService::NewStub(dialer_.Dial(address));
  channels_[address] = {stub, ++uses_};
  return {std::move(stub), /*kept=*/false};
}

void ServerChannels::Drop(const std::string& address, const Channel& channel) {
  absl::MutexLock lock(&mu_);
  const auto found = channels_.find(address);
  if (found != channels_.end() && found->second.stub == channel.stub) channels_.erase(found);
}

void ServerChannels::Clear() {
  absl::MutexLock lock(&mu_);
  channels_.clear();
}

size_t ServerChannels::size() const {
  absl::MutexLock lock(&mu_);
  return channels_.size();
}

}  // namespace samovar
