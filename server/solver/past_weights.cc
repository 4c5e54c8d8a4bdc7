#include "server/solver/past_weights.h"

#include <algorithm>
#include <cstring>

namespace samovar {

void PastWeights::Keep(uint64_t version, const char* weights, size_t floats) {
  if (!Find(version).empty()) return;
  Entry& entry = entries_[next_];
  next_ = (next_ + 1) % kVersions;
  entry.version = version;
  entry.weights.resize(floats);
  std::memcpy(entry.weights.data(), weights, floats * sizeof(float));
}

std::span<const float> PastWeights::Find(uint64_t version) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(), [version](const Entry& entry) {
    return entry.version == version && !entry.weights.empty();
  });
  return found == entries_.end() ? std::span<const float>() : std::span<const float>(found->weights);
}

std::vector<float> CompensateDelay(float lambda, std::span<const float> gradient, std::span<const float> weights,
                                   std::span<const float> pulled) {
  std::vector<float> compensated(gradient.size());
  for (size_t i = 0; i < gradient.size(); ++i) {
    compensated[i] = gradient[i] + lambda * gradient[i] * gradient[i] * (weights[i] - pulled[i]);
  }
  return compensated;
}

}  // namespace samovar
