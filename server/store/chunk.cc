#include "server/store/chunk.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/base/vector_level.h"
#include "common/model/layout.h"

namespace samovar {
namespace {

// What one push counts in the moving average of staleness.
constexpr double kStalenessWeight = 0.05;

float RateFactor(uint64_t staleness) { return std::min(1.0f, 2.0f / (1.0f + static_cast<float>(staleness))); }

// What merging statistics of zero would do.
void ScaleStatistics(const RuleSegment& segment, std::span<float> weights) {
  for (size_t i = segment.begin; i < segment.end; ++i) weights[i] *= segment.moving_average_fraction;
}

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

Chunk::Chunk(ChunkImage image, std::vector<RuleSegment> segments, uint32_t parts)
    : image_(std::move(image)),
      state_(image_.state.begin(), image_.state.end()),
      segments_(std::move(segments)),
      parts_(parts),
      pending_(std::max(1u, parts)) {}

absl::Status Chunk::CheckPart(uint64_t t, uint32_t part) const {
  if (part >= std::max(1u, parts_)) {
    return absl::InvalidArgumentError(
        absl::StrCat("iterations of this job have ", std::max(1u, parts_), " parts; there is no part ", part));
  }
  if (parts_ == 0 || t <= image_.ledger.watermark()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("chunk ", image_.chunk, " takes iteration ", image_.ledger.watermark(),
                                                    " next, not ", t, "; pull its weights first"));
}

absl::StatusOr<bool> Chunk::Push(const SolverRule& rule, uint64_t t, uint64_t pulled_version, std::span<const float> gradient,
                                 uint32_t part) {
  if (gradient.size() != image_.weights.size()) {
    return absl::InvalidArgumentError(absl::StrCat("chunk ", image_.chunk, " has ", image_.weights.size(),
                                                   " floats, but the pushed gradient has ", gradient.size()));
  }
  SAMOVAR_RETURN_IF_ERROR(CheckPart(t, part));
  if (image_.ledger.Contains(t) || pending_.Holds(part)) {
    counters_.set_duplicates(counters_.duplicates() + 1);
    return false;
  }
  if (!AllFinite(gradient)) {
    counters_.set_rejected(counters_.rejected() + 1);
    return absl::InvalidArgumentError(absl::StrCat("the gradient of iteration ", t, " for chunk ", image_.chunk,
                                                   " has NaN or infinity in it; nothing of it was applied"));
  }
  if (parts_ > 1) {
    pending_.Add(part, gradient, segments_);
    if (pending_.complete()) {
      const std::vector<float> mean = pending_.TakeMean(segments_);
      if (!AllFinite(mean)) {
        counters_.set_rejected(counters_.rejected() + 1);
        return absl::InvalidArgumentError(absl::StrCat("the gradients of iteration ", t, " for chunk ", image_.chunk,
                                                       " add up to infinity; nothing of them was applied"));
      }
      Apply(rule, t, /*staleness=*/0, mean);
    }
  } else {
    // A worker may have pulled from a server that was restored to an earlier version since: no staleness is known then.
    const bool late = parts_ == 0 && image_.version > pulled_version;
    Apply(rule, t, late ? image_.version - pulled_version : 0, gradient);
  }
  counters_.set_applied(counters_.applied() + 1);
  return true;
}

void Chunk::Apply(const SolverRule& rule, uint64_t t, uint64_t staleness, std::span<const float> gradient) {
  counters_.set_staleness_sum(counters_.staleness_sum() + staleness);
  counters_.set_staleness_max(std::max(counters_.staleness_max(), staleness));
  staleness_ += kStalenessWeight * (static_cast<double>(staleness) - staleness_);
  if (parts_ > 0) previous_weights_ = image_.weights;

  for (RuleSegment segment : segments_) {
    if (segment.rule == v1::UPDATE_RULE_MOVING_AVERAGE) {
      // Once a part: the sum of the parts' statistics is what that many merges would have added.
      for (uint32_t part = 1; part < parts_; ++part) ScaleStatistics(segment, image_.weights);
      MergeStatistics(segment, image_.weights, gradient);
    } else {
      segment.lr_mult *= RateFactor(staleness);
      rule.Apply(t, segment, image_.weights, state_, gradient);
    }
  }
  image_.ledger.Add(t);
  ++image_.version;
}

bool Chunk::PullsPrevious(std::optional<uint64_t> watermark) const {
  return watermark.has_value() && *watermark + 1 == image_.ledger.watermark() && !previous_weights_.empty();
}

uint64_t Chunk::PulledVersion(std::optional<uint64_t> watermark) const { return image_.version - (PullsPrevious(watermark) ? 1 : 0); }

void Chunk::WritePulled(const SolverRule& rule, std::optional<uint64_t> watermark, char* to) const {
  const bool previous = PullsPrevious(watermark);
  const std::vector<float>& weights = previous ? previous_weights_ : image_.weights;
  const float factor = previous ? 0 : rule.LookaheadFactor(staleness_);
  if (factor == 0) {
    std::memcpy(to, weights.data(), weights.size() * sizeof(float));
    return;
  }
  AtVectorLevel([count = weights.size(), from = weights.data(), state = image_.state[0].data(), factor, to] {
    char* __restrict target = to;
    for (size_t i = 0; i < count; ++i) {
      const float value = from[i] - factor * state[i];
      std::memcpy(target + i * sizeof(float), &value, sizeof(float));
    }
  });
}

void AddCounters(const v1::PushCounters& from, v1::PushCounters* sum) {
  sum->set_applied(sum->applied() + from.applied());
  sum->set_duplicates(sum->duplicates() + from.duplicates());
  sum->set_rejected(sum->rejected() + from.rejected());
  sum->set_staleness_sum(sum->staleness_sum() + from.staleness_sum());
  sum->set_staleness_max(std::max(sum->staleness_max(), from.staleness_max()));
}

}  // namespace samovar
