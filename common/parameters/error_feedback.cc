#include "common/parameters/error_feedback.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>

#include "common/parameters/sparse_floats.h"

namespace samovar {
namespace {

// Magnitudes as integers have the order of the floats; their first twelve bits make bins, and few floats of a bin are
// in doubt.
constexpr int kBinShift = 19;
constexpr size_t kBins = size_t{1} << (31 - kBinShift);

uint32_t MagnitudeOf(float value) { return std::bit_cast<uint32_t>(value) & 0x7FFFFFFFu; }

}  // namespace

ErrorFeedback::ErrorFeedback(const ChunkPlan& plan, double ratio, std::vector<FloatRange> whole)
    : plan_(plan),
      ratio_(ratio),
      whole_(std::move(whole)),
      residual_(plan.elements()),
      left_(plan.elements()),
      pushes_(plan.chunks()) {}

std::span<float> ErrorFeedback::Of(std::vector<float>* vector, uint32_t chunk) const {
  return std::span(*vector).subspan(plan_.begin(chunk), plan_.size(chunk));
}

void ErrorFeedback::Begin(bool in_full) {
  for (uint32_t chunk = 0; chunk < plan_.chunks(); ++chunk) {
    if (pushes_[chunk].open) End(chunk, Outcome::kUnknown);
  }
  in_full_ = in_full;
}

void ErrorFeedback::Select(uint32_t chunk, std::span<const float> values, std::vector<uint32_t>* places) {
  places->clear();
  magnitudes_.resize(values.size());
  std::transform(values.begin(), values.end(), magnitudes_.begin(), MagnitudeOf);
  // Floats that are always sent are listed first, and left out of the choice as if they were zero.
  const uint64_t begin = plan_.begin(chunk);
  for (const FloatRange& range : whole_) {
    const uint64_t from = std::max(range.begin, begin);
    const uint64_t to = std::min(range.end, begin + values.size());
    for (uint64_t i = from; i < to; ++i) {
      places->push_back(static_cast<uint32_t>(i - begin));
      magnitudes_[i - begin] = 0;
    }
  }
  std::array<uint32_t, kBins> counts = {};
  for (const uint32_t magnitude : magnitudes_) ++counts[magnitude >> kBinShift];
  // All of the bins above `bin` are among the largest, and `left` of those in it.
  size_t left = std::max<size_t>(1, static_cast<size_t>(std::llround(ratio_ * static_cast<double>(values.size()))));
  size_t bin = kBins - 1;
  for (; bin > 0 && counts[bin] <= left; --bin) left -= counts[bin];
  candidates_.clear();
  for (uint32_t i = 0; i < magnitudes_.size(); ++i) {
    const size_t of = magnitudes_[i] >> kBinShift;
    if (of > bin) places->push_back(i);
    if (of == bin && magnitudes_[i] != 0) candidates_.push_back(i);
  }
  if (candidates_.size() > left) {
    // Equal magnitudes: those at the front come first.
    const auto before = [this](uint32_t a, uint32_t b) {
      return magnitudes_[a] != magnitudes_[b] ? magnitudes_[a] > magnitudes_[b] : a < b;
    };
    std::nth_element(candidates_.begin(), candidates_.begin() + static_cast<ptrdiff_t>(left), candidates_.end(),
                     before);
    candidates_.resize(left);
  }
  places->insert(places->end(), candidates_.begin(), candidates_.end());
  std::sort(places->begin(), places->end());
}

ErrorFeedback::Payload ErrorFeedback::Encode(uint32_t chunk, std::span<const float> gradient) {
  Push& push = pushes_[chunk];
  push.repeated = push.open;
  if (!push.open) {
    push.open = true;
    const std::span<float> left = Of(&left_, chunk);
    const std::span<const float> residual = Of(&residual_, chunk);
    for (size_t i = 0; i < left.size(); ++i) left[i] = residual[i] + gradient[i];
    push.encoding = v1::ENCODING_SPARSE;
    if (!in_full_) {
      Select(chunk, left, &push.places);
      EncodeSparse(left, push.places, &push.payload);
    }
    if (in_full_ || push.payload.size() >= left.size_bytes()) {
      push.encoding = v1::ENCODING_FLOAT32;
      push.places.resize(left.size());
      std::iota(push.places.begin(), push.places.end(), 0u);
      push.payload.resize(left.size_bytes());
      std::memcpy(push.payload.data(), left.data(), left.size_bytes());
    }
    for (const uint32_t place : push.places) left[place] = 0;
  }
  return {push.encoding, push.payload};
}

void ErrorFeedback::Settle(uint32_t chunk, bool applied) {
  End(chunk, applied ? Outcome::kApplied : pushes_[chunk].repeated ? Outcome::kUnknown : Outcome::kDropped);
}

void ErrorFeedback::End(uint32_t chunk, Outcome outcome) {
  Push& push = pushes_[chunk];
  push.open = false;
  if (outcome == Outcome::kDropped) return;
  const std::span<float> residual = Of(&residual_, chunk);
  if (outcome == Outcome::kApplied) {
    const std::span<const float> left = Of(&left_, chunk);
    std::copy(left.begin(), left.end(), residual.begin());
  } else {
    for (const uint32_t place : push.places) residual[place] = 0;
  }
  push.squares = 0;
  for (const float value : residual) push.squares += static_cast<double>(value) * value;
}

void ErrorFeedback::Forget(uint32_t chunk) {
  Push& push = pushes_[chunk];
  push.open = false;
  push.squares = 0;
  const std::span<float> residual = Of(&residual_, chunk);
  std::fill(residual.begin(), residual.end(), 0.0f);
}

double ErrorFeedback::Norm() const {
  double sum = 0;
  for (const Push& push : pushes_) sum += push.squares;
  return std::sqrt(sum);
}

}  // namespace samovar
