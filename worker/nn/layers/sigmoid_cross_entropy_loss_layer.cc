// SigmoidCrossEntropyLoss: loss = -sum of t * log(s) + (1 - t) * log(1 - s) / normalizer with s = 1 / (1 + exp(-x)),
// computed as x * (t - 1{x >= 0}) - log(1 + exp(-|x|)); dx = (s - t) * weight / normalizer; weight is the top's diff.
// normalizer: loss_normalization.h, BATCH_SIZE unless loss_param says otherwise. Values whose target, cut to a whole
// number, is ignore_label count for nothing. Bottoms: scores x, targets t of the same number; targets have no gradient.
#include <algorithm>
#include <atomic>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/nn/kernels/eigen.h"
#include "worker/nn/kernels/sums.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/elementwise_layer.h"
#include "worker/nn/layers/loss_normalization.h"

namespace samovar {
namespace {

constexpr int64_t kElementsPerPiece = 16 * kElementwiseBlock;

class SigmoidCrossEntropyLossLayer : public Layer {
 public:
  explicit SigmoidCrossEntropyLossLayer(const LossNormalization& normalization) : normalization_(normalization) {
    AddTop({});
  }

  absl::Status Forward(const Pass& pass) override {
    const int64_t count = bottom(0).elements();
    std::atomic<int64_t> valid = count;
    const double sum = sum_.Run(pass.loop, [&](int64_t begin, int64_t end) {
      double part = 0;
      for (; begin < end; begin += kElementwiseBlock) {
        const int64_t n = std::min(kElementwiseBlock, end - begin);
        const int64_t ignored = BlockLoss(bottom(0).data + begin, bottom(1).data + begin, n, &part);
        if (ignored > 0) valid.fetch_sub(ignored, std::memory_order_relaxed);
      }
      return part;
    });
    normalizer_ = normalization_.Divisor(bottom(0).records(), count, valid.load(std::memory_order_relaxed));
    top(0).data[0] = static_cast<float>(sum / static_cast<double>(normalizer_));
    return absl::OkStatus();
  }

  void Backward(const Pass& pass) override {
    const float scale = top(0).diff[0] / normalizer_;
    const float* x = bottom(0).data;
    const float* t = bottom(1).data;
    float* dx = bottom(0).diff;
    pass.loop.Run(bottom(0).elements(), kElementsPerPiece, [&](int64_t begin, int64_t end, int64_t, int) {
      std::copy(x + begin, x + end, dx + begin);
      SigmoidInPlace(dx + begin, end - begin);
      ForEach(end - begin, [=](int64_t i) { dx[begin + i] = (dx[begin + i] - t[begin + i]) * scale; });
      if (!normalization_.has_ignore) return;
      for (int64_t i = begin; i < end; ++i) dx[i] = Ignores(t[i]) ? 0 : dx[i];
    });
  }

 private:
  absl::Status Allocate() override {
    sum_.Prepare(bottom(0).elements(), kElementsPerPiece);
    return absl::OkStatus();
  }

  // The bounds keep the conversion to an integer defined; NaN is not ignored.
  bool Ignores(float target) const {
    return target > -1e9f && target < 1e9f && normalization_.Ignores(static_cast<int64_t>(target));
  }

  // Adds the loss of a block of values to `sum`; returns how many of them are ignored.
  int64_t BlockLoss(const float* x, const float* t, int64_t n, double* sum) const {
    float loss[kElementwiseBlock];
    ForEach(n, [&](int64_t i) { loss[i] = -std::abs(x[i]); });
    ExpInPlace(loss, n);
    Log1pInPlace(loss, n);
    ForEach(n, [&](int64_t i) { loss[i] -= x[i] * (t[i] - (x[i] >= 0 ? 1.0f : 0.0f)); });
    int64_t ignored = 0;
    for (int64_t i = 0; normalization_.has_ignore && i < n; ++i) {
      if (!Ignores(t[i])) continue;
      loss[i] = 0;
      ++ignored;
    }
    *sum += SumOf<double>(n, [&](int64_t i) { return loss[i]; });
    return ignored;
  }

  const LossNormalization normalization_;
  PieceSum sum_;
  // Set by the last Forward.
  float normalizer_ = 1;
};

}  // namespace

LayerOr CreateSigmoidCrossEntropyLossLayer(const LayerContext& context) {
  SAMOVAR_ASSIGN_OR_RETURN(const LossNormalization normalization,
                           LossNormalization::Of(context.param.loss_param(), caffe::LossParameter::BATCH_SIZE));
  const int64_t scores = Elements(context.bottoms[0]);
  const int64_t targets = Elements(context.bottoms[1]);
  if (scores != targets) {
    return absl::InvalidArgumentError(
        absl::StrCat("there are ", targets, " targets and ", scores, " scores; there must be as many"));
  }
  return std::make_unique<SigmoidCrossEntropyLossLayer>(normalization);
}

}  // namespace samovar
