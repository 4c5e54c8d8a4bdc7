#include "server/leases/suspects.h"

#include <algorithm>

namespace samovar {

bool Suspects::Add(uint64_t worker, absl::Time now) {
  const auto [suspect, first] = suspects_.try_emplace(worker, Suspect{now, kFirstRest});
  if (!first) suspect->second = {now, std::min(2 * suspect->second.rest, kLongestRest)};
  return first;
}

bool Suspects::Rests(uint64_t worker, absl::Time now) const {
  const auto suspect = suspects_.find(worker);
  return suspect != suspects_.end() && now - suspect->second.since < suspect->second.rest;
}

void Suspects::Clear(uint64_t worker, absl::Time granted) {
  const auto suspect = suspects_.find(worker);
  if (suspect != suspects_.end() && suspect->second.since <= granted) suspects_.erase(suspect);
}

}  // namespace samovar
