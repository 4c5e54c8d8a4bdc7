#include "worker/nn/layers/batch_norm_layer.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

Channels ViewOf(const Shape& shape) {
  return shape.size() < 2 ? Channels{1, 1, Elements(shape)} : Channels::Of(shape, 1, 1);
}

}  // namespace

BatchNormLayer::BatchNormLayer(const LayerContext& context, bool global, float fraction)
    : view_(ViewOf(context.bottoms[0])), global_(global), eps_(context.param.batch_norm_param().eps()) {
  AddTop(context.bottoms[0]);
  const float keep = global && context.phase == caffe::TRAIN ? 1.0f : fraction;
  for (int64_t length : {view_.channels, view_.channels, int64_t{1}})
    AddStatistic(context.param.name(), {length}, keep);
}

absl::Status BatchNormLayer::Allocate() {
  SAMOVAR_RETURN_IF_ERROR(normals_.Allocate(view_.channels));
  return global_ ? absl::OkStatus() : measured_.Allocate(2 * view_.channels);
}

absl::Status BatchNormLayer::Forward(const Pass& pass) {
  pass.loop.Run(view_.channels, view_.per_piece(), [&](int64_t begin, int64_t end, int64_t, int) {
    global_ ? ReadTotals(begin, end) : Measure(begin, end);
    if (!absorbed_) return Normalise(begin, end);
    absorbed_->relu ? NormaliseAndScale<true>(begin, end) : NormaliseAndScale<false>(begin, end);
  });
  return absl::OkStatus();
}

void BatchNormLayer::Normalise(int64_t begin, int64_t end) {
  const float* in = bottom(0).data;
  float* out = top(0).data;
  const Normal* normals = normals_.data();
  ForEachInChannels(
      view_, begin, end, [=](int64_t c) { return normals[c]; },
      [=](int64_t i, const Normal& normal) { out[i] = (in[i] - normal.mean) * normal.inverse; });
}

void BatchNormLayer::WriteStatistics() {
  for (size_t i = 0; i < 2; ++i) {
    float* gradient = binding().gradients[i];
    std::fill_n(gradient, view_.channels, 0.0f);
    if (!global_) std::copy_n(measured_.data() + static_cast<int64_t>(i) * view_.channels, view_.channels, gradient);
  }
  *binding().gradients[2] = global_ ? 0.0f : 1.0f;
}

void BatchNormLayer::Backward(const Pass& pass) {
  if (!absorbed_ && !binding().propagate_down[0]) return;
  pass.loop.Run(view_.channels, view_.per_piece(), [&](int64_t begin, int64_t end, int64_t, int) {
    if (!absorbed_) return global_ ? BackwardByTotals(begin, end) : BackwardByBatch(begin, end);
    absorbed_->relu ? BackwardWithScale<true>(begin, end) : BackwardWithScale<false>(begin, end);
  });
}

void BatchNormLayer::SetNormal(int64_t c, double mean, double variance) {
  normals_.data()[c] = {static_cast<float>(mean), static_cast<float>(1 / std::sqrt(variance + eps_))};
}

void BatchNormLayer::Measure(int64_t begin, int64_t end) {
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

void BatchNormLayer::ReadTotals(int64_t begin, int64_t end) {
  const double total = *binding().weights[2];
  const double factor = total == 0 ? 0 : 1 / total;
  for (int64_t c = begin; c < end; ++c)
    SetNormal(c, binding().weights[0][c] * factor, binding().weights[1][c] * factor);
}

void BatchNormLayer::BackwardByBatch(int64_t begin, int64_t end) {
  const float* y = top(0).data;
  const float* dy = top(0).diff;
  float* dx = bottom(0).diff;
  const double m = static_cast<double>(view_.values());
  double sums[Channels::kMaxPerPiece];
  double products[Channels::kMaxPerPiece];
  SumChannelsTwice(
      view_, begin, end, sums, [=](int64_t i, int64_t) { return double{dy[i]}; }, products,
      [=](int64_t i, int64_t) { return double{dy[i]} * y[i]; });
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

void BatchNormLayer::BackwardByTotals(int64_t begin, int64_t end) {
  const float* dy = top(0).diff;
  float* dx = bottom(0).diff;
  const Normal* normals = normals_.data();
  ForEachInChannels(
      view_, begin, end, [=](int64_t c) { return normals[c].inverse; },
      [=](int64_t i, float inverse) { dx[i] = dy[i] * inverse; });
}

// --- With the layers above ---

BatchNormLayer::Line BatchNormLayer::LineOf(int64_t c) const {
  const Normal& normal = normals_.data()[c];
  return {normal.mean, normal.inverse, absorbed_->scale ? binding().weights[3][c] : 1.0f,
          absorbed_->bias ? binding().weights[4][c] : 0.0f};
}

template <bool kRelu>
void BatchNormLayer::NormaliseAndScale(int64_t begin, int64_t end) {
  const float* x = bottom(0).data;
  float* z = top(0).data;
  ForEachInChannels(
      view_, begin, end, [this](int64_t c) { return LineOf(c); },
      [=](int64_t i, const Line& line) {
        const float scaled = (x[i] - line.mean) * line.inverse * line.scale + line.bias;
        z[i] = kRelu && !(scaled > 0) ? 0.0f * scaled : scaled;
      });
}

template <bool kRelu>
void BatchNormLayer::BackwardWithScale(int64_t begin, int64_t end) {
  const float* x = bottom(0).data;
  const float* dz = top(0).diff;
  double sums[Channels::kMaxPerPiece];
  double products[Channels::kMaxPerPiece];
  Line lines[Channels::kMaxPerPiece];
  for (int64_t c = begin; c < end; ++c) lines[c - begin] = LineOf(c);
  const auto y_of = [x](int64_t i, const Line& line) { return (x[i] - line.mean) * line.inverse; };
  const auto dr_of = [dz](int64_t i, float y, const Line& line) {
    return !kRelu || y * line.scale + line.bias > 0 ? dz[i] : 0.0f;
  };
  SumChannelsTwice(
      view_, begin, end, sums,
      [=, line = &lines[0]](int64_t i, int64_t c) {
        return double{dr_of(i, y_of(i, line[c - begin]), line[c - begin])};
      },
      products,
      [=, line = &lines[0]](int64_t i, int64_t c) {
        const float y = y_of(i, line[c - begin]);
        return double{dr_of(i, y, line[c - begin])} * y;
      });
  for (int64_t c = begin; c < end; ++c) {
    if (absorbed_->scale && binding().gradients[3] != nullptr)
      binding().gradients[3][c] = static_cast<float>(products[c - begin]);
    if (absorbed_->bias && binding().gradients[4] != nullptr)
      binding().gradients[4][c] = static_cast<float>(sums[c - begin]);
  }
  if (!binding().propagate_down[0]) return;
  float* dx = bottom(0).diff;
  const double m = static_cast<double>(view_.values());
  struct Means {
    Line line;
    float dy, dy_y;
  };
  ForEachInChannels(
      view_, begin, end,
      [&](int64_t c) {
        const Line& line = lines[c - begin];
        if (global_) return Means{line, 0.0f, 0.0f};
        return Means{line, static_cast<float>(line.scale * sums[c - begin] / m),
                     static_cast<float>(line.scale * products[c - begin] / m)};
      },
      [=](int64_t i, const Means& mean) {
        const float y = y_of(i, mean.line);
        dx[i] = (dr_of(i, y, mean.line) * mean.line.scale - mean.dy - y * mean.dy_y) * mean.line.inverse;
      });
}

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
