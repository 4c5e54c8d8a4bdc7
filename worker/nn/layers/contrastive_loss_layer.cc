// ContrastiveLoss: pairs a, b of records; d = |a - b|. N are the records, weight is the top's diff.
//   label not 0 (similar)   loss d^2 / (2 N)                  da = (a - b) * weight / N
//   label 0                 loss max(margin - d, 0)^2 / (2 N) da = -(margin - d) / (d + 1e-4) * (a - b) * weight / N if
//   d < margin legacy_version          loss max(margin - d^2, 0) / (2 N) da = -(a - b) * weight / N if d^2 < margin
// db = -da. Bottoms: a [N, ...], b likewise, labels, one each, cut to whole numbers.
#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/nn/kernels/sums.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/elementwise_layer.h"
#include "worker/nn/layers/labels.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

class ContrastiveLossLayer : public Layer {
 public:
  explicit ContrastiveLossLayer(const LayerContext& context)
      : name_(context.param.name()),
        margin_(context.param.contrastive_loss_param().margin()),
        legacy_(context.param.contrastive_loss_param().legacy_version()) {
    AddTop({});
  }

  bool has_gradient_of_bottom(size_t bottom) const override { return bottom < 2; }

  absl::Status Forward(const Pass& pass) override {
    SAMOVAR_RETURN_IF_ERROR(CheckNumbers(pass));
    const double sum = sum_.Run(pass.loop, [&](int64_t begin, int64_t end) {
      double part = 0;
      for (int64_t record = begin; record < end; ++record) part += RecordLoss(record);
      return part;
    });
    top(0).data[0] = static_cast<float>(sum / (2.0 * static_cast<double>(bottom(0).records())));
    return absl::OkStatus();
  }

  void Backward(const Pass& pass) override {
    const float scale = top(0).diff[0] / static_cast<float>(bottom(0).records());
    pass.loop.Run(bottom(0).records(), per_piece(), [&](int64_t begin, int64_t end, int64_t, int) {
      for (int64_t record = begin; record < end; ++record) RecordGradient(record, scale);
    });
  }

 private:
  int per_piece() const { return RecordsPerPiece(static_cast<int>(bottom(0).records())); }

  absl::Status Allocate() override {
    sum_.Prepare(bottom(0).records(), per_piece());
    return absl::OkStatus();
  }

  // Any number is a label here.
  absl::Status CheckNumbers(const Pass& pass) const {
    for (int64_t i = 0; i < bottom(2).elements(); ++i) {
      const float label = bottom(2).data[i];
      if (label > -1e9f && label < 1e9f) continue;
      return absl::InvalidArgumentError(absl::StrCat(
          "layer \"", name_, "\": record ", i, " of iteration ", pass.iteration, " has label ", label, " in blob \"",
          bottom(2).written_name, "\"; write 0 for pairs that differ and 1 for those that are similar"));
    }
    return absl::OkStatus();
  }

  float SquaredDistance(int64_t record) const {
    const int64_t count = bottom(0).record_elements();
    const float* a = bottom(0).data + record * count;
    const float* b = bottom(1).data + record * count;
    return SumOf<float>(count, [=](int64_t i) { return (a[i] - b[i]) * (a[i] - b[i]); });
  }

  // Twice the record's loss. std::max in this order keeps a NaN.
  float RecordLoss(int64_t record) const {
    const float squared = SquaredDistance(record);
    if (LabelAt(bottom(2).data, record) != 0) return squared;
    if (legacy_) return std::max(margin_ - squared, 0.0f);
    const float missing = std::max(margin_ - std::sqrt(squared), 0.0f);
    return missing * missing;
  }

  // da = (a - b) * this * weight / N.
  float Factor(int64_t record) const {
    if (LabelAt(bottom(2).data, record) != 0) return 1;
    const float squared = SquaredDistance(record);
    if (legacy_) return margin_ - squared > 0 ? -1 : 0;
    const float distance = std::sqrt(squared);
    return margin_ - distance > 0 ? -(margin_ - distance) / (distance + 1e-4f) : 0;
  }

  void RecordGradient(int64_t record, float scale) {
    const int64_t count = bottom(0).record_elements();
    const float factor = scale * Factor(record);
    for (size_t i = 0; i < 2; ++i) {
      if (!binding().propagate_down[i]) continue;
      const float* own = bottom(i).data + record * count;
      const float* other = bottom(1 - i).data + record * count;
      float* dx = bottom(i).diff + record * count;
      ForEach(count, [=](int64_t k) { dx[k] = factor * (own[k] - other[k]); });
    }
  }

  const std::string name_;
  const float margin_;
  const bool legacy_;
  PieceSum sum_;
};

}  // namespace

LayerOr CreateContrastiveLossLayer(const LayerContext& context) {
  const caffe::ContrastiveLossParameter& contrastive = context.param.contrastive_loss_param();
  SAMOVAR_RETURN_IF_ERROR(CheckFields(contrastive, "contrastive_loss_param", {"margin", "legacy_version"}));
  if (!std::isfinite(contrastive.margin()))
    return absl::InvalidArgumentError("contrastive_loss_param.margin must be finite");
  const Shape& a = context.bottoms[0];
  const Shape& b = context.bottoms[1];
  const auto records = [](const Shape& shape) { return shape.empty() ? 1 : shape[0]; };
  if (records(a) != records(b) || RecordElements(a) != RecordElements(b)) {
    return absl::InvalidArgumentError(absl::StrCat("the first two bottoms have ", records(a), " records of ",
                                                   RecordElements(a), " values and ", records(b), " of ",
                                                   RecordElements(b), "; they must have the same"));
  }
  SAMOVAR_RETURN_IF_ERROR(CheckLabelCount(context.bottoms[2], records(a)));
  return std::make_unique<ContrastiveLossLayer>(context);
}

}  // namespace samovar
