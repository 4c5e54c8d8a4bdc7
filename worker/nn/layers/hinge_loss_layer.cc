// HingeLoss: m = max(0, 1 + s * x) with s = -1 for the labelled class, 1 for the others.
//   norm L1   loss = sum of m / N      dx = s * weight / N where m > 0, else 0
//   norm L2   loss = sum of m^2 / N    dx = 2 * s * m * weight / N
// N are the records, weight is the top's diff. Bottoms: scores [N, ...], all axes but the first being classes; labels,
// one each.
#include <string>

#include "common/base/status_macros.h"
#include "worker/nn/kernels/sums.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/labels.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

class HingeLossLayer : public Layer {
 public:
  explicit HingeLossLayer(const LayerContext& context)
      : name_(context.param.name()),
        squared_(context.param.hinge_loss_param().norm() == caffe::HingeLossParameter::L2) {
    AddTop({});
  }

  absl::Status Forward(const Pass& pass) override {
    SAMOVAR_RETURN_IF_ERROR(CheckLabels(name_, pass, bottom(1), bottom(0).record_elements(), false, 0));
    const double sum = sum_.Run(pass.loop, [&](int64_t begin, int64_t end) {
      double part = 0;
      for (int64_t record = begin; record < end; ++record) part += RecordLoss(record);
      return part;
    });
    top(0).data[0] = static_cast<float>(sum / static_cast<double>(bottom(0).records()));
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

  // NaN stays NaN.
  static float Margin(float x, bool labelled) {
    const float margin = labelled ? 1 - x : 1 + x;
    return margin <= 0 ? 0 : margin;
  }

  double RecordLoss(int64_t record) const {
    const float* x = bottom(0).data + record * bottom(0).record_elements();
    const int64_t label = LabelAt(bottom(1).data, record);
    return SumOf<double>(bottom(0).record_elements(), [&](int64_t i) {
      const double margin = Margin(x[i], i == label);
      return squared_ ? margin * margin : margin;
    });
  }

  void RecordGradient(int64_t record, float scale) {
    const int64_t count = bottom(0).record_elements();
    const float* x = bottom(0).data + record * count;
    float* dx = bottom(0).diff + record * count;
    const int64_t label = LabelAt(bottom(1).data, record);
    for (int64_t i = 0; i < count; ++i) {
      const float margin = Margin(x[i], i == label);
      const float size = squared_ ? 2 * margin * scale : margin > 0 ? scale : 0;
      dx[i] = i == label ? -size : size;
    }
  }

  const std::string name_;
  const bool squared_;
  PieceSum sum_;
};

}  // namespace

LayerOr CreateHingeLossLayer(const LayerContext& context) {
  SAMOVAR_RETURN_IF_ERROR(CheckFields(context.param.hinge_loss_param(), "hinge_loss_param", {"norm"}));
  SAMOVAR_RETURN_IF_ERROR(CheckLabelCount(context.bottoms[1], context.bottoms[0].empty() ? 1 : context.bottoms[0][0]));
  return std::make_unique<HingeLossLayer>(context);
}

}  // namespace samovar
