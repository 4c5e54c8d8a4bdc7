#include "worker/train/subtree_sum.h"

namespace samovar {
namespace {

// Whether these are the two halves of a full subtree. One that the number of parts cuts short ends with the last part.
bool AreHalves(const PartRange& left, const PartRange& right) {
  return left.count == right.count && left.end() == right.first && left.first % (2 * left.count) == 0;
}

}  // namespace

void SubtreeSum::Add(uint32_t part, bool first, std::span<const float> gradients) {
  if (first) waiting_ = 0;
  PartRange added(part);
  const float* values = gradients.data();
  size_t left = waiting_;
  for (; left > 0 && AreHalves(halves_[left - 1].range, added); --left) {
    Half& half = halves_[left - 1];
    AddHalf(added, values, statistics_, 0, elements_, half.range, half.values.data());
    half.range.count += added.count;
    added = half.range;
    values = half.values.data();
  }
  if (left < waiting_) {
    waiting_ = left + 1;
    return;
  }
  if (waiting_ == halves_.size()) halves_.emplace_back();
  halves_[waiting_].range = added;
  halves_[waiting_].values.assign(gradients.begin(), gradients.end());
  ++waiting_;
}

void SubtreeSum::AddLast(uint32_t part, std::span<const float> gradients, uint64_t begin, uint64_t end) {
  PartRange added(part);
  const float* values = gradients.data();
  for (size_t left = waiting_; left > 0; --left) {
    Half& half = halves_[left - 1];
    AddHalf(added, values, statistics_, begin, end, half.range, half.values.data());
    added = PartRange(half.range.first, half.range.count + added.count);
    values = half.values.data();
  }
}

}  // namespace samovar
