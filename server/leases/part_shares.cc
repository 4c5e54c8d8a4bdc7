#include "server/leases/part_shares.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace samovar {
namespace {

// A speed is the mean over about so much time of computing, which is a few rounds, and over a few parts if they are
// longer.
constexpr double kMemorySeconds = 2;
constexpr double kMostWeight = 0.3;
constexpr absl::Duration kLongest = absl::Hours(24);
// Halvings of the interval in which the slowest share's time is looked for: to a millionth.
constexpr int kHalvings = 20;

// The subtrees that neighbouring parts consist of: each is the largest that begins where the last one has ended.
uint32_t SubtreesIn(const PartRange& range, uint32_t parts) {
  uint32_t subtrees = 0;
  const uint64_t end = range.end();
  for (uint64_t first = range.first; first < end; ++subtrees) {
    uint64_t places = 1;
    // The number of parts may cut the last one short.
    while (first % (2 * places) == 0 && places < end - first && (first + 2 * places <= end || end == parts))
      places *= 2;
    first += std::min(places, end - first);
  }
  return subtrees;
}

// In parts' time.
double TimeOf(const PartRange& range, uint32_t parts) {
  return range.count + PartShares::kPush * SubtreesIn(range, parts);
}

// The most parts of [first, end) that are done within so many parts' time.
uint32_t MostWithin(double time, uint32_t first, uint32_t end, uint32_t parts) {
  uint32_t most = 0;
  for (uint32_t count = 1; first + count <= end && count + PartShares::kPush <= time; ++count) {
    if (TimeOf({first, count}, parts) <= time) most = count;
  }
  return most;
}

}  // namespace

void PartShares::Count(uint64_t worker, absl::Duration part, absl::Time now) {
  if (part <= absl::ZeroDuration() || part > kLongest) return;
  const double seconds = absl::ToDoubleSeconds(part);
  Speed& speed = speeds_[worker];
  // One that was measured long ago says nothing of today.
  if (now - speed.measured > kRemember) speed.parts = 0;
  ++speed.parts;
  const double weight = std::max(1 / static_cast<double>(speed.parts), std::min(kMostWeight, seconds / kMemorySeconds));
  speed.seconds_a_part += weight * (seconds - speed.seconds_a_part);
  speed.measured = now;
}

absl::Duration PartShares::PartTimeForTesting(uint64_t worker) const {
  const auto speed = speeds_.find(worker);
  return speed == speeds_.end() ? absl::ZeroDuration() : absl::Seconds(speed->second.seconds_a_part);
}

double PartShares::UsualSeconds(const std::vector<uint64_t>& workers) const {
  std::vector<double> known;
  for (const uint64_t worker : workers) {
    if (const auto speed = speeds_.find(worker); speed != speeds_.end()) known.push_back(speed->second.seconds_a_part);
  }
  if (known.empty()) return 1;
  const auto middle = known.begin() + static_cast<int64_t>((known.size() - 1) / 2);
  std::nth_element(known.begin(), middle, known.end());
  return *middle;
}

std::map<uint64_t, PartRange> PartShares::Deal(const std::vector<uint64_t>& workers, uint32_t parts,
                                               absl::Time now) const {
  struct Known {
    uint64_t worker;
    double seconds_a_part;
  };
  const double usual = UsualSeconds(workers);
  std::vector<Known> known;
  std::vector<uint64_t> tried;
  for (const uint64_t worker : workers) {
    const auto speed = speeds_.find(worker);
    if (speed != speeds_.end() && now - speed->second.measured > kRemember) {
      tried.push_back(worker);
    } else {
      known.push_back({worker, speed == speeds_.end() ? usual : speed->second.seconds_a_part});
    }
  }
  if (known.empty()) {
    for (const uint64_t worker : std::exchange(tried, {})) known.push_back({worker, 1});
  }
  // The last parts are for those that are tried.
  const uint32_t left = parts - std::min(parts - 1, static_cast<uint32_t>(tried.size()));
  // The fastest alone needs less than this.
  double enough = known.front().seconds_a_part;
  for (const Known& worker : known) enough = std::min(enough, worker.seconds_a_part);
  enough *= (1 + 2 * kPush) * parts;
  double too_little = 0;
  std::map<uint64_t, PartRange> shares;
  for (int i = 0; i <= kHalvings; ++i) {
    const double seconds = i == 0 ? enough : (too_little + enough) / 2;
    std::map<uint64_t, PartRange> dealt;
    uint32_t first = 0;
    for (const Known& worker : known) {
      const uint32_t count = MostWithin(seconds / worker.seconds_a_part, first, left, parts);
      if (count > 0) dealt[worker.worker] = {first, count};
      first += count;
    }
    if (first < left) {
      too_little = seconds;
      continue;
    }
    enough = seconds;
    shares = std::move(dealt);
  }
  for (uint32_t part = left; part < parts; ++part) shares[tried[part - left]] = PartRange(part);
  return shares;
}

}  // namespace samovar
