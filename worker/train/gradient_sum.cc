#include "worker/train/gradient_sum.h"

#include "common/model/gradient_clip.h"
#include "common/model/layout.h"

namespace samovar {
namespace {

bool IsStatistic(const v1::ParameterBlob& blob) { return blob.rule() == v1::UPDATE_RULE_MOVING_AVERAGE; }

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
  double norm = 0;
  if (limit >= 0) {
    std::vector<double> squares(SquaresBlocks(gradients.size()));
    for (const v1::ParameterBlob& blob : layout.blobs()) {
      if (!IsStatistic(blob)) AddSquares(gradients, blob.offset(), blob.offset() + BlobElements(blob), squares);
    }
    norm = NormOf(squares);
  }
  for (const v1::ParameterBlob& blob : layout.blobs()) {
    if (!IsStatistic(blob)) ClipAndDivide(limit, norm, parts, gradients.subspan(blob.offset(), BlobElements(blob)));
  }
}

}  // namespace samovar
