#include "common/model/ledger.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"

namespace samovar {

absl::StatusOr<Ledger> Ledger::FromProto(const v1::Ledger& message) {
  if (message.watermark() > kMaxEnd) {
    return absl::InvalidArgumentError(absl::StrCat("ledger: watermark ", message.watermark(), " is out of range"));
  }
  Ledger ledger;
  ledger.watermark_ = message.watermark();
  ledger.size_ = message.watermark();
  uint64_t previous_end = message.watermark();
  for (const v1::IterationRange& range : message.beyond()) {
    if (range.begin() <= previous_end || range.end() <= range.begin() || range.end() > kMaxEnd) {
      return absl::InvalidArgumentError(absl::StrCat("ledger: range [", range.begin(), ", ", range.end(),
                                                     ") is empty, out of range, or does not begin above ",
                                                     previous_end));
    }
    ledger.ranges_.emplace_hint(ledger.ranges_.end(), range.begin(), range.end());
    ledger.size_ += range.end() - range.begin();
    previous_end = range.end();
  }
  return ledger;
}

v1::Ledger Ledger::ToProto() const {
  v1::Ledger message;
  message.set_watermark(watermark_);
  for (const auto& [begin, end] : ranges_) {
    v1::IterationRange* range = message.add_beyond();
    range->set_begin(begin);
    range->set_end(end);
  }
  return message;
}

bool Ledger::Contains(uint64_t t) const {
  if (t < watermark_) return true;
  auto after = ranges_.upper_bound(t);
  return after != ranges_.begin() && t < std::prev(after)->second;
}

bool Ledger::Add(uint64_t t) {
  if (Contains(t)) return false;
  AddRange(t, t + 1);
  return true;
}

void Ledger::AddRange(uint64_t begin, uint64_t end) {
  begin = std::max(begin, watermark_);
  if (begin >= end) return;
  // Every range that meets or touches [begin, end) is taken out and becomes part of it.
  auto first = ranges_.upper_bound(begin);
  if (first != ranges_.begin() && std::prev(first)->second >= begin) --first;
  uint64_t held = 0;
  auto last = first;
  for (; last != ranges_.end() && last->first <= end; ++last) {
    begin = std::min(begin, last->first);
    end = std::max(end, last->second);
    held += last->second - last->first;
  }
  if (begin == watermark_) {
    ranges_.erase(first, last);
    watermark_ = end;
  } else if (first == last) {
    // The only step that needs memory; without it the ledger is as before.
    ranges_.emplace_hint(last, begin, end);
  } else {
    auto merged = ranges_.extract(first++);
    ranges_.erase(first, last);
    merged.key() = begin;
    merged.mapped() = end;
    ranges_.insert(std::move(merged));
  }
  size_ += end - begin - held;
}

void Ledger::Merge(const Ledger& other) {
  AddRange(0, other.watermark_);
  for (const auto& [begin, end] : other.ranges_) AddRange(begin, end);
}

std::vector<IterationRange> Ledger::Missing(uint64_t begin, uint64_t end) const {
  std::vector<IterationRange> missing;
  uint64_t next = std::max(begin, watermark_);
  auto range = ranges_.upper_bound(next);
  if (range != ranges_.begin()) --range;
  for (; range != ranges_.end() && range->first < end; ++range) {
    if (next < range->first) missing.push_back({next, range->first});
    next = std::max(next, range->second);
  }
  if (next < end) missing.push_back({next, end});
  return missing;
}

std::vector<IterationRange> Ledger::beyond() const {
  std::vector<IterationRange> result;
  result.reserve(ranges_.size());
  for (const auto& [begin, end] : ranges_) result.push_back({begin, end});
  return result;
}

}  // namespace samovar
