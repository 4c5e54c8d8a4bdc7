#include "common/home/coordinator_channel.h"

#include <utility>

#include "common/base/status_macros.h"

namespace samovar {

CoordinatorChannel::CoordinatorChannel(const std::string& place, const Dialer& dialer, const StorageTable& storage)
    : dialer_(dialer),
      place_(place),
      home_(ClusterHome::IsHome(place) ? std::make_optional<ClusterHome>(place, storage) : std::nullopt),
      address_(place) {}

CoordinatorChannel::CoordinatorChannel(std::shared_ptr<grpc::Channel> channel) : channel_(std::move(channel)) {}

absl::StatusOr<std::shared_ptr<grpc::Channel>> CoordinatorChannel::Get() {
  std::string address = place_;
  {
    absl::MutexLock lock(&mu_);
    if (channel_ != nullptr && !in_doubt_) return channel_;
  }
  if (home_.has_value()) {
    SAMOVAR_ASSIGN_OR_RETURN(const ClusterHome::Coordinator coordinator, home_->Find());
    address = coordinator.address;
  }
  absl::MutexLock lock(&mu_);
  in_doubt_ = false;
  if (channel_ == nullptr || address != address_) channel_ = dialer_->Dial(address);
  address_ = address;
  return channel_;
}

void CoordinatorChannel::Note(const absl::Status& status) {
  const bool nobody = absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
  if (!nobody || !home_.has_value()) return;
  absl::MutexLock lock(&mu_);
  in_doubt_ = true;
}

std::string CoordinatorChannel::address() const {
  absl::MutexLock lock(&mu_);
  return address_;
}

}  // namespace samovar
