#include "server/jobs/skipped_iterations.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace samovar {

void SkippedIterations::Restore(uint64_t count, const v1::Ledger& known) {
  absl::StatusOr<Ledger> ledger = Ledger::FromProto(known);
  known_ = ledger.ok() ? *std::move(ledger) : Ledger();
  older_ = count - std::min(count, known_.size());
  Bound();
}

void SkippedIterations::Add(uint64_t iteration) {
  known_.Add(iteration);
  Bound();
}

void SkippedIterations::KeepOnly(const Ledger& done) {
  if (done.size() == 0) older_ = 0;
  Ledger kept;
  const auto keep = [&](uint64_t begin, uint64_t end) {
    for (const IterationRange& gap : done.Missing(begin, end)) {
      kept.AddRange(begin, gap.begin);
      begin = gap.end;
    }
    kept.AddRange(begin, end);
  };
  keep(0, known_.watermark());
  for (const IterationRange& range : known_.beyond()) keep(range.begin, range.end);
  known_ = std::move(kept);
}

void SkippedIterations::Bound() {
  if (known_.beyond_ranges() <= kMaxRanges) return;
  const std::vector<IterationRange> ranges = known_.beyond();
  Ledger newer;
  for (size_t i = ranges.size() / 2; i < ranges.size(); ++i) newer.AddRange(ranges[i].begin, ranges[i].end);
  older_ += known_.size() - newer.size();
  known_ = std::move(newer);
}

}  // namespace samovar
