#include "worker/train/gradient_sum.h"

#include <cmath>

#include "common/model/layout.h"

namespace samovar {
namespace {

bool IsStatistic(const v1::ParameterBlob& blob) { return blob.rule() == v1::UPDATE_RULE_MOVING_AVERAGE; }

double Norm(const v1::ParameterLayout& layout, std::span<const float> gradients) {
  double sum = 0;
  for (const v1::ParameterBlob& blob : layout.blobs()) {
    if (IsStatistic(blob)) continue;
    for (const float value : gradients.subspan(blob.offset(), BlobElements(blob))) sum += static_cast<double>(value) * value;
  }
  return std::sqrt(sum);
}

}  // namespace

GradientSum::GradientSum(const v1::ParameterLayout& layout) : layout_(layout), values_(layout.elements()) {}

void GradientSum::Add(std::span<const float> gradients, bool first) {
  for (const v1::ParameterBlob& blob : layout_.blobs()) {
    const size_t end = blob.offset() + BlobElements(blob);
    const float kept = first ? 0.0f : IsStatistic(blob) ? blob.moving_average_fraction() : 1.0f;
    for (size_t i = blob.offset(); i < end; ++i) values_[i] = kept * values_[i] + gradients[i];
  }
}

void ClipAndAverage(const v1::ParameterLayout& layout, float limit, int parts, std::span<float> gradients) {
  float scale = 1.0f;
  if (limit >= 0) {
    const double norm = Norm(layout, gradients);
    if (norm > limit) scale = static_cast<float>(limit / norm);
  }
  if (scale == 1.0f && parts == 1) return;
  // Twice rounded, as Caffe does it.
  const float share = 1.0f / static_cast<float>(parts);
  for (const v1::ParameterBlob& blob : layout.blobs()) {
    if (IsStatistic(blob)) continue;
    for (float& value : gradients.subspan(blob.offset(), BlobElements(blob))) value = value * scale * share;
  }
}

}  // namespace samovar
