#include "server/store/chunk.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/model/layout.h"

namespace samovar {
namespace {

// What one push counts in the moving average of staleness.
constexpr double kStalenessWeight = 0.05;

float RateFactor(uint64_t staleness) { return std::min(1.0f, 2.0f / (1.0f + static_cast<float>(staleness))); }

bool UpdatedAlike(const RuleSegment& a, const RuleSegment& b) {
  return a.rule == b.rule && a.lr_mult == b.lr_mult && a.decay_mult == b.decay_mult &&
         a.moving_average_fraction == b.moving_average_fraction;
}

}  // namespace

std::vector<RuleSegment> BuildSegments(const v1::ParameterLayout& layout, uint64_t begin, uint64_t end) {
  std::vector<RuleSegment> segments;
  VisitRange(layout, begin, end, [&](const v1::ParameterBlob& blob, uint64_t from, uint64_t to) {
    RuleSegment segment;
    segment.begin = static_cast<uint32_t>(from - begin);
    segment.end = static_cast<uint32_t>(to - begin);
    segment.rule = blob.rule();
    if (segment.rule == v1::UPDATE_RULE_SOLVER) {
      segment.lr_mult = blob.lr_mult();
      segment.decay_mult = blob.decay_mult();
    } else {
      segment.moving_average_fraction = blob.moving_average_fraction();
    }
    if (!segments.empty() && UpdatedAlike(segments.back(), segment)) {
      segments.back().end = segment.end;
    } else {
      segments.push_back(segment);
    }
  });
  return segments;
}

Chunk::Chunk(ChunkImage image, std::vector<RuleSegment> segments)
    : image_(std::move(image)), state_(image_.state.begin(), image_.state.end()), segments_(std::move(segments)) {}

absl::StatusOr<bool> Chunk::Push(const SolverRule& rule, uint64_t t, uint64_t pulled_version,
                                 std::span<const float> gradient) {
  if (gradient.size() != image_.weights.size()) {
    return absl::InvalidArgumentError(absl::StrCat("chunk ", image_.chunk, " has ", image_.weights.size(),
                                                   " floats, but the pushed gradient has ", gradient.size()));
  }
  if (image_.ledger.Contains(t)) {
    counters_.set_duplicates(counters_.duplicates() + 1);
    return false;
  }
  if (!AllFinite(gradient)) {
    counters_.set_rejected(counters_.rejected() + 1);
    return absl::InvalidArgumentError(absl::StrCat("the gradient of iteration ", t, " for chunk ", image_.chunk,
                                                   " has NaN or infinity in it; nothing of it was applied"));
  }
  // A worker may have pulled from a server that was restored to an earlier version since: no staleness is known then.
  const uint64_t staleness = image_.version > pulled_version ? image_.version - pulled_version : 0;
  counters_.set_staleness_sum(counters_.staleness_sum() + staleness);
  counters_.set_staleness_max(std::max(counters_.staleness_max(), staleness));

  staleness_ += kStalenessWeight * (static_cast<double>(staleness) - staleness_);

  for (RuleSegment segment : segments_) {
    if (segment.rule == v1::UPDATE_RULE_MOVING_AVERAGE) {
      MergeStatistics(segment, image_.weights, gradient);
    } else {
      segment.lr_mult *= RateFactor(staleness);
      rule.Apply(t, segment, image_.weights, state_, gradient);
    }
  }
  image_.ledger.Add(t);
  ++image_.version;
  counters_.set_applied(counters_.applied() + 1);
  return true;
}

void Chunk::AppendPulled(const SolverRule& rule, std::string* payload) const {
  const size_t begin = payload->size();
  payload->append(reinterpret_cast<const char*>(image_.weights.data()), image_.weights.size() * sizeof(float));
  const float factor = rule.LookaheadFactor(staleness_);
  if (factor == 0) return;
  const float* state = image_.state[0].data();
  char* pulled = payload->data() + begin;
  for (size_t i = 0; i < image_.weights.size(); ++i) {
    const float value = image_.weights[i] - factor * state[i];
    std::memcpy(pulled + i * sizeof(float), &value, sizeof(float));
  }
}

void AddCounters(const v1::PushCounters& from, v1::PushCounters* sum) {
  sum->set_applied(sum->applied() + from.applied());
  sum->set_duplicates(sum->duplicates() + from.duplicates());
  sum->set_rejected(sum->rejected() + from.rejected());
  sum->set_staleness_sum(sum->staleness_sum() + from.staleness_sum());
  sum->set_staleness_max(std::max(sum->staleness_max(), from.staleness_max()));
}

}  // namespace samovar
