#include "server/leases/fair_shares.h"

#include <algorithm>

namespace samovar {

void FairShares::SetJobs(const std::map<uint64_t, double>& weights) {
  std::erase_if(shares_, [&](const auto& share) { return !weights.contains(share.first); });
  for (auto& [worker, place] : places_) {
    if (!weights.contains(place.job)) place = {};
  }
  std::optional<double> lowest;
  for (const auto& [job, share] : shares_) lowest = std::min(lowest.value_or(share.account), share.account);
  for (const auto& [job, weight] : weights) shares_.try_emplace(job, Share{weight, lowest.value_or(0)});
}

void FairShares::Settle(Place* place, absl::Time now) {
  const auto share = shares_.find(place->job);
  if (share != shares_.end()) {
    share->second.account += place->threads * absl::ToDoubleSeconds(now - place->since) / share->second.weight;
  }
  place->threads = 0;
  place->since = now;
}

std::map<uint64_t, double> FairShares::AccountsAt(absl::Time time) const {
  std::map<uint64_t, double> accounts;
  for (const auto& [job, share] : shares_) accounts[job] = share.account;
  for (const auto& [worker, place] : places_) {
    const auto share = shares_.find(place.job);
    if (share == shares_.end()) continue;
    accounts[place.job] += place.threads * absl::ToDoubleSeconds(time - place.since) / share->second.weight;
  }
  return accounts;
}

std::vector<uint64_t> FairShares::Offers(uint64_t worker, absl::Time now) {
  Place& place = places_[worker];
  Settle(&place, now);
  // Accounts include the work that others are about to do, so that not all go over to the same job.
  std::map<uint64_t, double> accounts = AccountsAt(now + kLookAhead);
  double highest = 0;
  for (const auto& [job, account] : accounts) highest = std::max(highest, account);
  std::vector<uint64_t> offers;
  for (auto& [job, account] : accounts) {
    Share& share = shares_.at(job);
    const double raised = std::max(0.0, highest - kMaxOwed / share.weight - account);
    share.account += raised;
    account += raised;
    offers.push_back(job);
  }
  std::stable_sort(offers.begin(), offers.end(),
                   [&](uint64_t a, uint64_t b) { return accounts.at(a) < accounts.at(b); });
  const auto last = std::find(offers.begin(), offers.end(), place.job);
  if (last == offers.end()) return offers;
  const double owed = (accounts.at(place.job) - accounts.at(offers.front())) * shares_.at(offers.front()).weight;
  if (owed <= kAffinity) std::rotate(offers.begin(), last, last + 1);
  return offers;
}

void FairShares::Took(uint64_t worker, uint64_t job, double threads, absl::Time now) {
  places_[worker] = {job, threads, now};
}

void FairShares::Leave(uint64_t worker, absl::Time now) {
  const auto place = places_.find(worker);
  if (place == places_.end()) return;
  Settle(&place->second, now);
  places_.erase(place);
}

std::optional<uint64_t> FairShares::JobOf(uint64_t worker) const {
  const auto place = places_.find(worker);
  if (place == places_.end() || place->second.job == 0) return std::nullopt;
  return place->second.job;
}

uint64_t FairShares::WorkersOf(uint64_t job) const {
  return static_cast<uint64_t>(std::count_if(places_.begin(), places_.end(), [job](const auto& entry) {
    return entry.second.job == job && entry.second.threads > 0;
  }));
}

}  // namespace samovar
