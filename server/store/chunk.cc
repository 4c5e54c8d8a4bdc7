#include "server/store/chunk.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/model/gradient_clip.h"
#include "common/model/layout.h"
#include "common/parameters/push_counters.h"

namespace samovar {
namespace {

std::vector<StatisticRange> StatisticsIn(const std::vector<RuleSegment>& segments) {
  std::vector<StatisticRange> statistics;
  for (const RuleSegment& segment : segments) {
    if (segment.rule != v1::UPDATE_RULE_MOVING_AVERAGE) continue;
    statistics.push_back({segment.begin, segment.end, segment.moving_average_fraction});
  }
  return statistics;
}

// As if statistics of zero were merged.
void ScaleStatistics(const RuleSegment& segment, std::span<float> weights) {
  for (size_t i = segment.begin; i < segment.end; ++i) weights[i] *= segment.moving_average_fraction;
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
    segments.push_back(segment);
  });
  return segments;
}

Chunk::Chunk(ChunkImage image, std::vector<RuleSegment> segments, const Options& options)
    : image_(std::move(image)),
      state_(image_.state.begin(), image_.state.end()),
      segments_(std::move(segments)),
      options_(options),
      pending_(std::max(1u, options.parts), StatisticsIn(segments_)) {
  // So that the step which ends an iteration needs no memory: its parts were acknowledged.
  if (options_.parts > 0) previous_weights_.reserve(image_.weights.size());
  if (options_.clip.has_value()) squares_.reserve(SquaresBlocks(image_.weights.size()));
  // Those of a net whose chunks are cut in another way are of no use.
  if (image_.lateness.levels.size() != segments_.size()) image_.lateness.levels.assign(segments_.size(), {});
}

absl::Status Chunk::CheckPart(uint64_t t, const PartRange& part) const {
  const uint32_t parts = std::max(1u, options_.parts);
  if (part.end() > parts) {
    return absl::InvalidArgumentError(
        absl::StrCat("iterations of this job have ", parts, " parts; there is no part ", part.end() - 1));
  }
  if (!IsSubtree(part, parts)) {
    return absl::InvalidArgumentError(absl::StrCat("iterations of this job have ", parts, " parts, and ",
                                                   PartsText(part), " are no subtree of these: push them one by one"));
  }
  if (options_.parts == 0 || t <= image_.ledger.watermark()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("chunk ", image_.chunk, " takes iteration ",
                                                    image_.ledger.watermark(), " next, not ", t,
                                                    "; pull its weights first"));
}

absl::StatusOr<bool> Chunk::Push(const SolverRule& rule, uint64_t t, uint64_t pulled_version,
                                 std::span<const float> gradient, const PartRange& part, uint64_t iterations) {
  if (gradient.size() != image_.weights.size()) {
    return absl::InvalidArgumentError(absl::StrCat("chunk ", image_.chunk, " has ", image_.weights.size(),
                                                   " floats, but the pushed gradient has ", gradient.size()));
  }
  SAMOVAR_RETURN_IF_ERROR(CheckPart(t, part));
  if (Holds(t, part)) {
    if (options_.parts > 0 || !image_.skipped.contains(t)) return false;
    return absl::AlreadyExistsError(absl::StrCat("chunk ", image_.chunk, " has skipped iteration ", t,
                                                 ": the gradient of an earlier lease for it was not finite"));
  }
  if (!AllFinite(gradient)) return Reject(t, "has NaN or infinity in it");
  const std::optional<uint64_t> staleness = StalenessOf(pulled_version);
  SAMOVAR_RETURN_IF_ERROR(options_.parts > 1
                              ? AddPart(rule, t, part, gradient)
                              : ApplyWhole(rule, {t, t + iterations}, pulled_version, staleness, gradient));
  last_staleness_ = staleness.value_or(0);
  CountApplied(last_staleness_, &counters_);
  return true;
}

std::optional<uint64_t> Chunk::StalenessOf(uint64_t pulled_version) const {
  if (options_.parts > 0) return 0;
  if (pulled_version > image_.version) return std::nullopt;
  return (image_.version - pulled_version + options_.push_every - 1) / options_.push_every;
}

absl::Status Chunk::Reject(uint64_t t, const std::string& what) {
  counters_.set_rejected(counters_.rejected() + 1);
  return absl::InvalidArgumentError(absl::StrCat("the gradient of iteration ", t, " for chunk ", image_.chunk, " ",
                                                 what, "; nothing of it was applied"));
}

bool Chunk::Holds(uint64_t t, const PartRange& part) {
  if (!image_.ledger.Contains(t) && summed_.empty() && !pending_.Holds(part)) return false;
  counters_.set_duplicates(counters_.duplicates() + 1);
  return true;
}

absl::StatusOr<bool> Chunk::Skip(uint64_t t, const PartRange& part) {
  SAMOVAR_RETURN_IF_ERROR(CheckPart(t, part));
  if (Holds(t, part)) return image_.ledger.Contains(t) ? image_.skipped.contains(t) : pending_.skipped();
  if (options_.parts > 1) {
    pending_.Skip(part);
    SAMOVAR_RETURN_IF_ERROR(EndParts(nullptr, t));
  } else {
    EnterSkipped(t);
  }
  counters_.set_skipped(counters_.skipped() + 1);
  return true;
}

absl::Status Chunk::AddPart(const SolverRule& rule, uint64_t t, const PartRange& part,
                            std::span<const float> gradient) {
  pending_.Add(part, gradient);
  return EndParts(&rule, t);
}

absl::Status Chunk::EndParts(const SolverRule* rule, uint64_t t) {
  if (!pending_.complete()) return absl::OkStatus();
  if (pending_.skipped()) {
    EnterSkipped(t);
    pending_.Clear();
    return absl::OkStatus();
  }
  std::vector<float> mean = pending_.TakeMean();
  if (!options_.clip.has_value()) {
    Apply(*rule, {t, t + 1}, /*staleness=*/0, mean);
    return absl::OkStatus();
  }
  squares_.assign(SquaresBlocks(mean.size()), 0);
  summed_ = std::move(mean);
  squares_of_ = t;
  for (const RuleSegment& segment : segments_) {
    if (segment.rule == v1::UPDATE_RULE_SOLVER) AddSquares(summed_, segment.begin, segment.end, squares_);
  }
  return absl::OkStatus();
}

void Chunk::Enter(const IterationRange& unit) {
  image_.ledger.AddRange(unit.begin, unit.end);
  image_.version += unit.end - unit.begin;
}

void Chunk::EnterSkipped(uint64_t t) {
  if (options_.parts > 0) previous_weights_ = image_.weights;
  image_.skipped.insert(t);
  if (image_.skipped.size() > ChunkImage::kMaxSkipped) image_.skipped.erase(image_.skipped.begin());
  Enter({t, t + 1});
}

std::span<const double> Chunk::Squares(uint64_t t) const {
  return squares_of_ == t ? std::span<const double>(squares_) : std::span<const double>();
}

absl::Status Chunk::ApplyClipped(const SolverRule& rule, uint64_t t, double norm) {
  if (image_.ledger.Contains(t)) return absl::OkStatus();
  if (stage() != SummedStage(t)) {
    return absl::FailedPreconditionError(
        absl::StrCat("chunk ", image_.chunk, " does not have all parts of iteration ", t, " yet"));
  }
  std::vector<float> gradient = std::exchange(summed_, {});
  for (const RuleSegment& segment : segments_) {
    if (segment.rule != v1::UPDATE_RULE_SOLVER) continue;
    ClipAndDivide(options_.clip->limit, norm, options_.clip->passes,
                  std::span(gradient).subspan(segment.begin, segment.end - segment.begin));
  }
  Apply(rule, {t, t + 1}, /*staleness=*/0, gradient);
  return absl::OkStatus();
}

absl::Status Chunk::ApplyWhole(const SolverRule& rule, const IterationRange& unit, uint64_t pulled_version,
                               std::optional<uint64_t> staleness, std::span<const float> gradient) {
  const std::span<const float> pulled =
      staleness.value_or(0) > 0 ? given_.Find(pulled_version) : std::span<const float>();
  if (pulled.empty()) {
    Apply(rule, unit, staleness, gradient);
    return absl::OkStatus();
  }
  std::vector<float> compensated = CompensateDelay(options_.delay_compensation, gradient, image_.weights, pulled);
  // Statistics are no gradients.
  for (const RuleSegment& segment : segments_) {
    if (segment.rule == v1::UPDATE_RULE_SOLVER) continue;
    std::copy(gradient.begin() + segment.begin, gradient.begin() + segment.end, compensated.begin() + segment.begin);
  }
  if (!AllFinite(compensated))
    return Reject(unit.begin, "becomes infinite when its delay is compensated; choose a smaller lambda");
  Apply(rule, unit, staleness, compensated);
  return absl::OkStatus();
}

void Chunk::Apply(const SolverRule& rule, const IterationRange& unit, std::optional<uint64_t> staleness,
                  std::span<const float> gradient) {
  Lateness& lateness = image_.lateness;
  UsualStaleness usual = MayBeLate() ? lateness.usual : UsualStaleness();
  if (MayBeLate() && staleness.has_value()) usual.Count(*staleness);
  const float warm_up = WarmUp(image_.version / options_.push_every, usual.value);
  // All that may need memory comes first: without it nothing of the step is done.
  if (options_.parts > 0) previous_weights_ = image_.weights;
  if (usual.value > 0 && rule.spreads_steps()) lateness.steps.resize(image_.weights.size());
  Enter(unit);

  if (usual.value == 0 && !lateness.steps.empty()) EndSpreading(rule);
  lateness.usual = usual;
  for (size_t i = 0; i < segments_.size(); ++i) {
    const RuleSegment& segment = segments_[i];
    const LateStep late = {usual.value, warm_up, usual.value > 0 ? CutOf(i, gradient) : 1};
    if (segment.rule == v1::UPDATE_RULE_MOVING_AVERAGE) {
      // Once a part, or an iteration: the sum of the statistics is that of as many merges.
      const uint64_t merges = std::max<uint64_t>(options_.parts, unit.end - unit.begin);
      for (uint64_t merge = 1; merge < merges; ++merge) ScaleStatistics(segment, image_.weights);
      MergeStatistics(segment, image_.weights, gradient);
    } else if (options_.push_every > 1) {
      rule.ApplyDisplacement(segment, image_.weights, state_, gradient, late);
    } else {
      rule.Apply(unit.begin, segment, image_.weights, state_, gradient, late, lateness.steps);
    }
  }
}

void Chunk::WriteAhead(const SolverRule& rule, const RuleSegment& segment, char* to) {
  if (segment.rule != v1::UPDATE_RULE_SOLVER) {
    const size_t bytes = (segment.end - segment.begin) * sizeof(float);
    std::memcpy(to + segment.begin * sizeof(float), image_.weights.data() + segment.begin, bytes);
    return;
  }
  const uint64_t newest = image_.version - std::min<uint64_t>(image_.version, 1);
  rule.WriteAhead(newest, image_.lateness.usual.value, segment, image_.weights, state_, image_.lateness.steps, to);
}

float Chunk::CutOf(size_t index, std::span<const float> gradient) {
  const RuleSegment& segment = segments_[index];
  if (segment.rule != v1::UPDATE_RULE_SOLVER) return 1;
  const double norm = L2Norm(gradient.subspan(segment.begin, segment.end - segment.begin));
  return image_.lateness.levels[index].Cut(norm, image_.lateness.usual.value);
}

void Chunk::EndSpreading(const SolverRule& rule) {
  Lateness& lateness = image_.lateness;
  const Stretch stretch = rule.StretchFor(lateness.usual.value);
  // All that is to come of them: q (m' + m'^2 + ...) h, with q = 1 - m'.
  for (size_t i = 0; i < lateness.steps.size(); ++i) image_.weights[i] -= stretch.kept * lateness.steps[i];
  lateness.steps = {};
}

bool Chunk::PullsPrevious(std::optional<uint64_t> watermark) const {
  return watermark.has_value() && *watermark + 1 == image_.ledger.watermark() && !previous_weights_.empty();
}

uint64_t Chunk::PulledVersion(std::optional<uint64_t> watermark) const {
  return image_.version - (PullsPrevious(watermark) ? 1 : 0);
}

void Chunk::WritePulled(const SolverRule& rule, std::optional<uint64_t> watermark, char* to) {
  const bool previous = PullsPrevious(watermark);
  const std::vector<float>& weights = previous ? previous_weights_ : image_.weights;
  if (previous || !MayBeLate() || image_.lateness.usual.value == 0) {
    std::memcpy(to, weights.data(), weights.size() * sizeof(float));
  } else {
    for (const RuleSegment& segment : segments_) WriteAhead(rule, segment, to);
  }
  if (options_.delay_compensation > 0) given_.Keep(image_.version, to, weights.size());
}

}  // namespace samovar
