#include "common/parameters/push_counters.h"

#include <algorithm>
#include <bit>

namespace samovar {
namespace {

// The last staleness that has an entry for itself.
constexpr uint64_t kExact = 32;

int EntryOf(uint64_t staleness) {
  if (staleness <= kExact) return static_cast<int>(staleness);
  return static_cast<int>(kExact) + std::bit_width((staleness - 1) / kExact);
}

// The largest staleness that the entry counts; of the last ones, which are beyond all numbers, some large one.
uint64_t LargestOf(int entry) {
  constexpr int kLastShift = 58;
  const int shift = std::min(std::max(entry - static_cast<int>(kExact), 0), kLastShift);
  return shift == 0 ? static_cast<uint64_t>(entry) : kExact << shift;
}

void AddTo(int entry, uint64_t pushes, v1::PushCounters* counters) {
  if (counters->staleness_size() <= entry) counters->mutable_staleness()->Resize(entry + 1, 0);
  counters->set_staleness(entry, counters->staleness(entry) + pushes);
}

}  // namespace

void CountApplied(uint64_t staleness, v1::PushCounters* counters) {
  counters->set_applied(counters->applied() + 1);
  counters->set_staleness_sum(counters->staleness_sum() + staleness);
  counters->set_staleness_max(std::max(counters->staleness_max(), staleness));
  AddTo(EntryOf(staleness), 1, counters);
}

void AddCounters(const v1::PushCounters& from, v1::PushCounters* sum) {
  sum->set_applied(sum->applied() + from.applied());
  sum->set_duplicates(sum->duplicates() + from.duplicates());
  sum->set_rejected(sum->rejected() + from.rejected());
  sum->set_skipped(sum->skipped() + from.skipped());
  sum->set_staleness_sum(sum->staleness_sum() + from.staleness_sum());
  sum->set_staleness_max(std::max(sum->staleness_max(), from.staleness_max()));
  // From the last, so that there is room at once.
  for (int entry = from.staleness_size(); entry-- > 0;) AddTo(entry, from.staleness(entry), sum);
}

double MeanStaleness(const v1::PushCounters& counters) {
  return counters.applied() == 0
             ? 0
             : static_cast<double>(counters.staleness_sum()) / static_cast<double>(counters.applied());
}

uint64_t StalenessPercentile(const v1::PushCounters& counters, int percent) {
  uint64_t pushes = 0;
  for (const uint64_t count : counters.staleness()) pushes += count;
  // The percentile covers so many pushes at least.
  const uint64_t wanted =
      pushes / 100 * static_cast<uint64_t>(percent) + (pushes % 100 * static_cast<uint64_t>(percent) + 99) / 100;
  uint64_t seen = 0;
  for (int entry = 0; entry < counters.staleness_size(); ++entry) {
    seen += counters.staleness(entry);
    if (seen >= wanted) return std::min(LargestOf(entry), counters.staleness_max());
  }
  return 0;
}

}  // namespace samovar
