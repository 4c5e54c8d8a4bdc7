// BatchNorm (Ioffe and Szegedy: "Batch normalization", 2015), without a scale and shift of its own: y = (x - mean) /
// sqrt(var + eps), for each channel c: axis 1, over m = values / channels places; a bottom of one axis is one channel.
// Parameters: mean sum [C], variance sum [C], scale factor [1]; statistics (Layer::AddStatistic).
//   by the batch     mean, var (divided by m) are the batch's; measured are mean, var * m / (m - 1) (m = 1: var) and 1
//                    dx = (dy - mean(dy) - y * mean(dy * y)) / sqrt(var + eps)
//   by the totals    mean, var are the first two parameters divided by the third (0 if that is 0)
//                    dx = dy / sqrt(var + eps)
// The latter is for phase TEST, or use_global_stats. In a TRAIN net it leaves the parameters as they are: statistics of
// which an update keeps all (moving average fraction 1) and to which it adds 0, so that no rate and no decay of the net
// can move them.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/nn/kernels/buffer.h"
#include "worker/nn/kernels/channels.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

struct Normal {
  float mean;
  float inverse;
};

class BatchNormLayer : public Layer {
 public:
  BatchNormLayer(const LayerContext& context, bool global, float fraction)
      : view_(ViewOf(context.bottoms[0])), global_(global), eps_(context.param.batch_norm_param().eps()) {
    AddTop(context.bottoms[0]);
    const float keep = global && context.phase == caffe::TRAIN ? 1.0f : fraction;
    for (int64_t length : {view_.channels, view_.channels, int64_t{1}})
      AddStatistic(context.param.name(), {length}, keep);
  }

  // Backward reads y and never x.
  bool can_work_in_place() const override { return true; }
  bool backward_reads_tops() const override { return !global_; }

  absl::Status Forward(const Pass& pass) override {
    pass.loop.Run(view_.channels, view_.per_piece(), [&](int64_t begin, int64_t end, int64_t, int) {
      global_ ? ReadTotals(begin, end) : Measure(begin, end);
      const float* in = bottom(0).data;
      float* out = top(0).data;
      const Normal* normals = normals_.data();
      ForEachInChannels(
          view_, begin, end, [=](int64_t c) { return normals[c]; },
          [=](int64_t i, const Normal& normal) { out[i] = (in[i] - normal.mean) * normal.inverse; });
    });
    return absl::OkStatus();
  }

  void WriteStatistics() override {
    for (size_t i = 0; i < 2; ++i) {
      float* gradient = binding().gradients[i];
      std::fill_n(gradient, view_.channels, 0.0f);
      if (!global_) std::copy_n(measured_.data() + static_cast<int64_t>(i) * view_.channels, view_.channels, gradient);
    }
    *binding().gradients[2] = global_ ? 0.0f : 1.0f;
  }

  void Backward(const Pass& pass) override {
    if (!binding().propagate_down[0]) return;
    pass.loop.Run(view_.channels, view_.per_piece(), [&](int64_t begin, int64_t end, int64_t, int) {
      global_ ? BackwardByTotals(begin, end) : BackwardByBatch(begin, end);
    });
  }

 private:
  static Channels ViewOf(const Shape& shape) {
    return shape.size() < 2 ? Channels{1, 1, Elements(shape)} : Channels::Of(shape, 1, 1);
  }

  absl::Status Allocate() override {
    SAMOVAR_RETURN_IF_ERROR(normals_.Allocate(view_.channels));
    return global_ ? absl::OkStatus() : measured_.Allocate(2 * view_.channels);
  }

  void SetNormal(int64_t c, double mean, double variance) {
    normals_.data()[c] = {static_cast<float>(mean), static_cast<float>(1 / std::sqrt(variance + eps_))};
  }

  void Measure(int64_t begin, int64_t end) {
    const float* in = bottom(0).data;
    const double m = static_cast<double>(view_.values());
    double means[Channels::kMaxPerPiece];
    double variances[Channels::kMaxPerPiece];
    SumChannels(view_, begin, end, means, [=](int64_t i, int64_t) { return double{in[i]}; });
    for (int64_t c = 0; c < end - begin; ++c) means[c] /= m;
    SumChannels(view_, begin, end, variances, [in, begin, mean = &means[0]](int64_t i, int64_t c) {
      const double deviation = in[i] - mean[c - begin];
      return deviation * deviation;
    });
    const double correction = m > 1 ? m / (m - 1) : 1;
    for (int64_t c = begin; c < end; ++c) {
      const double variance = variances[c - begin] / m;
      SetNormal(c, means[c - begin], variance);
      measured_.data()[c] = static_cast<float>(means[c - begin]);
      measured_.data()[view_.channels + c] = static_cast<float>(variance * correction);
    }
  }

  void ReadTotals(int64_t begin, int64_t end) {
    const double total = *binding().weights[2];
    const double factor = total == 0 ? 0 : 1 / total;
    for (int64_t c = begin; c < end; ++c)
      SetNormal(c, binding().weights[0][c] * factor, binding().weights[1][c] * factor);
  }

  void BackwardByBatch(int64_t begin, int64_t end) {
    const float* y = top(0).data;
    const float* dy = top(0).diff;
    float* dx = bottom(0).diff;
    const double m = static_cast<double>(view_.values());
    double sums[Channels::kMaxPerPiece];
    double products[Channels::kMaxPerPiece];
    SumChannels(view_, begin, end, sums, [=](int64_t i, int64_t) { return double{dy[i]}; });
    SumChannels(view_, begin, end, products, [=](int64_t i, int64_t) { return double{dy[i]} * y[i]; });
    struct Means {
      float dy, dy_y, inverse;
    };
    ForEachInChannels(
        view_, begin, end,
        [&](int64_t c) {
          return Means{static_cast<float>(sums[c - begin] / m), static_cast<float>(products[c - begin] / m),
                       normals_.data()[c].inverse};
        },
        [=](int64_t i, const Means& mean) { dx[i] = (dy[i] - mean.dy - y[i] * mean.dy_y) * mean.inverse; });
  }

  void BackwardByTotals(int64_t begin, int64_t end) {
    const float* dy = top(0).diff;
    float* dx = bottom(0).diff;
    const Normal* normals = normals_.data();
    ForEachInChannels(
        view_, begin, end, [=](int64_t c) { return normals[c].inverse; },
        [=](int64_t i, float inverse) { dx[i] = dy[i] * inverse; });
  }

  const Channels view_;
  const bool global_;
  const double eps_;
  // Set by the last Forward, one a channel.
  Buffer<Normal> normals_;
  // Set by the last Forward by the batch: the means [C], then the variances [C].
  Buffer<float> measured_;
};

}  // namespace

LayerOr CreateBatchNormLayer(const LayerContext& context) {
  const caffe::BatchNormParameter& norm = context.param.batch_norm_param();
  SAMOVAR_RETURN_IF_ERROR(
      CheckFields(norm, "batch_norm_param", {"use_global_stats", "moving_average_fraction", "eps"}));
  const float fraction = norm.moving_average_fraction();
  if (!(fraction >= 0 && fraction <= 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("batch_norm_param.moving_average_fraction is ", fraction, "; give 0 to 1"));
  }
  if (!(norm.eps() >= 0))
    return absl::InvalidArgumentError(absl::StrCat("batch_norm_param.eps is ", norm.eps(), "; give 0 or more"));
  const bool global = norm.has_use_global_stats() ? norm.use_global_stats() : context.phase == caffe::TEST;
  return std::make_unique<BatchNormLayer>(context, global, fraction);
}

}  // namespace samovar
