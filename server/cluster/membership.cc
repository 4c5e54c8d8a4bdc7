#include "server/cluster/membership.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/printable.h"

namespace samovar {

absl::Status Membership::RegisterServer(const v1::RegisterServerRequest& request, absl::Time now) {
  if (request.address().empty()) return absl::InvalidArgumentError("a server registered without its address");
  if (Printable(request.address(), kMaxPeerNameBytes) != request.address()) {
    return absl::InvalidArgumentError("a server registered with an address that is too long, or no text");
  }
  const Server* const known = FindSuccessor(servers_, request);
  if (known == nullptr) {
    servers_.push_back({request, now, now});
    servers_.back().figures.Add(now, request.figures());
    return absl::OkStatus();
  }
  const auto place = servers_.begin() + (known - servers_.data());
  if (place->registration.incarnation() != request.incarnation()) {
    NoteLost(absl::StrCat("server ", place->registration.address()), place->registration.host(),
             "was started again, or another has taken its place", now);
    place->joined = now;
    place->figures.Clear();
  }
  place->registration = request;
  place->heard = now;
  place->figures.Add(now, request.figures());
  // It may have come back on the address of yet another.
  const auto other = std::find_if(servers_.begin(), servers_.end(), [&](const Server& server) {
    return &server != &*place && server.registration.address() == request.address();
  });
  if (other != servers_.end()) servers_.erase(other);
  return absl::OkStatus();
}

const Membership::Server* Membership::FindSuccessor(const std::vector<Server>& servers,
                                                    const v1::RegisterServerRequest& registration) {
  const Server* by_address = nullptr;
  for (const Server& server : servers) {
    const bool same = registration.identity() != 0 && server.registration.identity() == registration.identity();
    if (same) return &server;
    if (server.registration.address() == registration.address()) by_address = &server;
  }
  return by_address;
}

const Membership::Server* Membership::FindServer(const std::string& address) const {
  for (const Server& server : servers_) {
    if (server.registration.address() == address) return &server;
  }
  return nullptr;
}

uint64_t Membership::Join(const v1::JoinRequest& request, absl::Time now) {
  const uint64_t id = next_worker_++;
  v1::JoinRequest description = request;
  for (std::string* text : {description.mutable_name(), description.mutable_version(), description.mutable_isa(),
                            description.mutable_host(), description.mutable_http()}) {
    *text = Printable(*text, kMaxPeerNameBytes);
  }
  for (auto& [other, worker] : workers_) {
    if (worker.description.name() == description.name()) worker.replaced = true;
  }
  workers_[id] = Worker{id, description, now, now};
  return id;
}

Membership::Worker* Membership::Touch(uint64_t worker, absl::Time now) {
  const auto found = workers_.find(worker);
  if (found == workers_.end()) return nullptr;
  found->second.heard = now;
  return &found->second;
}

std::vector<Membership::Worker> Membership::ExpireWorkers(absl::Time now) {
  std::vector<Worker> expired;
  for (auto worker = workers_.begin(); worker != workers_.end();) {
    if (now - worker->second.heard > (worker->second.replaced ? kReplacedTimeout : kWorkerTimeout)) {
      expired.push_back(worker->second);
      worker = workers_.erase(worker);
    } else {
      ++worker;
    }
  }
  return expired;
}

void Membership::NoteLost(const std::string& name, const std::string& host, const std::string& reason, absl::Time now) {
  const auto same = std::find_if(lost_.begin(), lost_.end(),
                                 [&](const Lost& lost) { return lost.name == name && lost.reason == reason; });
  const uint64_t times = same == lost_.end() ? 0 : same->times;
  if (same != lost_.end()) lost_.erase(same);
  lost_.push_back({name, host, reason, now, times + 1});
  if (lost_.size() > kMaxLost) lost_.pop_front();
}

}  // namespace samovar
