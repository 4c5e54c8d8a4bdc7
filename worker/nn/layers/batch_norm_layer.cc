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
  const int64_t planes = view_.outer * view_.channels;
  if (!global_) {
    SAMOVAR_RETURN_IF_ERROR(measured_.Allocate(2 * view_.channels));
    if (view_.inner > 1) SAMOVAR_RETURN_IF_ERROR(moments_.Allocate(planes));
  }
  if (!absorbed_ || view_.inner == 1) return absl::OkStatus();
  SAMOVAR_RETURN_IF_ERROR(sums_.Allocate(planes));
  return means_.Allocate(view_.channels);
}

absl::Status BatchNormLayer::Forward(const Pass& pass) {
  if (neighbours_.normalised_below) return absl::OkStatus();
  global_ ? ReadTotals() : Measure(pass);
  if (neighbours_.normalised_above) return absl::OkStatus();
  if (absorbed_ && view_.inner > 1) {
    ForPlanes(pass, [this](int64_t record, int64_t begin, int64_t end) {
      NormaliseRecord(record, begin, end, top(0).data + plane(record, begin) * view_.inner);
    });
    return absl::OkStatus();
  }
  pass.loop.Run(view_.channels, view_.per_piece(), [&](int64_t begin, int64_t end, int64_t, int) {
    if (!absorbed_) return Normalise(begin, end);
    absorbed_->relu ? ForwardVectors<true>(begin, end) : ForwardVectors<false>(begin, end);
  });
  return absl::OkStatus();
}

template <typename Body>
void BatchNormLayer::ForPlanes(const Pass& pass, Body body) {
  constexpr int64_t kValuesPerPiece = 32 << 10;
  const int64_t planes_per_piece = std::max<int64_t>(1, kValuesPerPiece / view_.inner);
  pass.loop.Run(view_.outer * view_.channels, planes_per_piece, [&](int64_t begin, int64_t end, int64_t, int) {
    for (int64_t at = begin; at < end;) {
      const int64_t record = at / view_.channels, first = at % view_.channels;
      const int64_t last = std::min(view_.channels, first + end - at);
      body(record, first, last);
      at += last - first;
    }
  });
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
  if (absorbed_ && view_.inner > 1) return BackwardPlanes(pass);
  pass.loop.Run(view_.channels, view_.per_piece(), [&](int64_t begin, int64_t end, int64_t, int) {
    if (!absorbed_) return global_ ? BackwardByTotals(begin, end) : BackwardByBatch(begin, end);
    absorbed_->relu ? BackwardVectors<true>(begin, end) : BackwardVectors<false>(begin, end);
  });
}

void BatchNormLayer::SetNormal(int64_t c, double mean, double variance) {
  normals_.data()[c] = {static_cast<float>(mean), static_cast<float>(1 / std::sqrt(variance + eps_))};
}

void BatchNormLayer::SetMeasured(int64_t c, double mean, double variance) {
  const auto m = static_cast<double>(view_.values());
  SetNormal(c, mean, variance);
  measured_.data()[c] = static_cast<float>(mean);
  measured_.data()[view_.channels + c] = static_cast<float>(variance * (m > 1 ? m / (m - 1) : 1));
}

void BatchNormLayer::Measure(const Pass& pass) {
  if (view_.inner == 1) {
    return pass.loop.Run(view_.channels, view_.per_piece(),
                         [&](int64_t begin, int64_t end, int64_t, int) { MeasureVectors(begin, end); });
  }
  if (!neighbours_.measured) {
    ForPlanes(pass, [this](int64_t record, int64_t begin, int64_t end) { MeasureRecord(record, begin, end); });
  }
  const auto records = static_cast<double>(view_.outer), places = static_cast<double>(view_.inner);
  for (int64_t c = 0; c < view_.channels; ++c) {
    double mean = 0, squares = 0;
    for (int64_t record = 0; record < view_.outer; ++record) mean += moments_.data()[plane(record, c)].mean;
    mean /= records;
    for (int64_t record = 0; record < view_.outer; ++record) {
      const PlaneMoments& moments = moments_.data()[plane(record, c)];
      squares += moments.squares + places * (moments.mean - mean) * (moments.mean - mean);
    }
    SetMeasured(c, mean, squares / (records * places));
  }
}

void BatchNormLayer::MeasureVectors(int64_t begin, int64_t end) {
  const float* in = bottom(0).data;
  const auto m = static_cast<double>(view_.values());
  double means[Channels::kMaxPerPiece];
  double variances[Channels::kMaxPerPiece];
  SumChannels(view_, begin, end, means, [=](int64_t i, int64_t) { return double{in[i]}; });
  for (int64_t c = 0; c < end - begin; ++c) means[c] /= m;
  SumChannels(view_, begin, end, variances, [in, begin, mean = &means[0]](int64_t i, int64_t c) {
    const double deviation = in[i] - mean[c - begin];
    return deviation * deviation;
  });
  for (int64_t c = begin; c < end; ++c) SetMeasured(c, means[c - begin], variances[c - begin] / m);
}

void BatchNormLayer::ReadTotals() {
  const double total = *binding().weights[2];
  const double factor = total == 0 ? 0 : 1 / total;
  for (int64_t c = 0; c < view_.channels; ++c)
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

PlaneLine BatchNormLayer::LineOf(int64_t c) const {
  const Normal& normal = normals_.data()[c];
  return {normal.mean, normal.inverse, absorbed_->scale ? binding().weights[3][c] : 1.0f,
          absorbed_->bias ? binding().weights[4][c] : 0.0f, absorbed_->relu};
}

void BatchNormLayer::WriteScaleGradients(int64_t c, const PlaneSums& sums) {
  if (absorbed_->scale && binding().gradients[3] != nullptr) binding().gradients[3][c] = static_cast<float>(sums.dr_y);
  if (absorbed_->bias && binding().gradients[4] != nullptr) binding().gradients[4][c] = static_cast<float>(sums.dr);
}

PlaneMeans BatchNormLayer::MeansOf(int64_t c, const PlaneSums& sums) const {
  if (global_) return {0.0f, 0.0f};
  const double factor = LineOf(c).scale / static_cast<double>(view_.values());
  return {static_cast<float>(factor * sums.dr), static_cast<float>(factor * sums.dr_y)};
}

// --- Planes ---

void BatchNormLayer::MeasureRecord(int64_t record, int64_t begin, int64_t end) {
  for (int64_t at = plane(record, begin); at < plane(record, end); ++at)
    moments_.data()[at] = MeasurePlane(bottom(0).data + at * view_.inner, view_.inner);
}

void BatchNormLayer::NormaliseRecord(int64_t record, int64_t begin, int64_t end, float* z) const {
  const float* x = bottom(0).data + plane(record, begin) * view_.inner;
  for (int64_t c = begin; c < end; ++c, x += view_.inner, z += view_.inner)
    NormalisePlane(LineOf(c), x, view_.inner, z);
}

void BatchNormLayer::SumRecord(int64_t record, int64_t begin, int64_t end) {
  for (int64_t c = begin; c < end; ++c) {
    const int64_t at = plane(record, c);
    sums_.data()[at] =
        SumPlane(LineOf(c), bottom(0).data + at * view_.inner, top(0).diff + at * view_.inner, view_.inner);
  }
}

void BatchNormLayer::WriteInDiff(int64_t record, int64_t begin, int64_t end, float* dx) const {
  for (int64_t c = begin; c < end; ++c, dx += view_.inner) {
    const int64_t at = plane(record, c) * view_.inner;
    WritePlaneGradient(LineOf(c), means_.data()[c], bottom(0).data + at, top(0).diff + at, view_.inner, dx);
  }
}

void BatchNormLayer::BackwardPlanes(const Pass& pass) {
  if (!neighbours_.summed)
    ForPlanes(pass, [this](int64_t record, int64_t begin, int64_t end) { SumRecord(record, begin, end); });
  for (int64_t c = 0; c < view_.channels; ++c) {
    PlaneSums sums{0, 0};
    for (int64_t record = 0; record < view_.outer; ++record) {
      sums.dr += sums_.data()[plane(record, c)].dr;
      sums.dr_y += sums_.data()[plane(record, c)].dr_y;
    }
    WriteScaleGradients(c, sums);
    means_.data()[c] = MeansOf(c, sums);
  }
  if (!binding().propagate_down[0] || neighbours_.differentiated) return;
  ForPlanes(pass, [this](int64_t record, int64_t begin, int64_t end) {
    WriteInDiff(record, begin, end, bottom(0).diff + plane(record, begin) * view_.inner);
  });
}

// --- Vectors: the channels lie side by side ---

template <bool kRelu>
void BatchNormLayer::ForwardVectors(int64_t begin, int64_t end) {
  const float* x = bottom(0).data;
  float* z = top(0).data;
  ForEachInChannels(
      view_, begin, end, [this](int64_t c) { return LineOf(c); },
      [=](int64_t i, const PlaneLine& line) {
        const float scaled = (x[i] - line.mean) * line.inverse * line.scale + line.bias;
        z[i] = kRelu && !(scaled > 0) ? 0.0f * scaled : scaled;
      });
}

template <bool kRelu>
void BatchNormLayer::BackwardVectors(int64_t begin, int64_t end) {
  const float* x = bottom(0).data;
  const float* dz = top(0).diff;
  double sums[Channels::kMaxPerPiece];
  double products[Channels::kMaxPerPiece];
  const auto y_of = [x](int64_t i, const PlaneLine& line) { return (x[i] - line.mean) * line.inverse; };
  const auto dr_of = [dz](int64_t i, float y, const PlaneLine& line) {
    return !kRelu || y * line.scale + line.bias > 0 ? dz[i] : 0.0f;
  };
  SumChannelsTwice(
      view_, begin, end, sums,
      [=, this](int64_t i, int64_t c) { return double{dr_of(i, y_of(i, LineOf(c)), LineOf(c))}; }, products,
      [=, this](int64_t i, int64_t c) {
        const float y = y_of(i, LineOf(c));
        return double{dr_of(i, y, LineOf(c))} * y;
      });
  const auto sums_of = [&](int64_t c) { return PlaneSums{sums[c - begin], products[c - begin]}; };
  for (int64_t c = begin; c < end; ++c) WriteScaleGradients(c, sums_of(c));
  if (!binding().propagate_down[0]) return;
  float* dx = bottom(0).diff;
  struct Channel {
    PlaneLine line;
    PlaneMeans means;
  };
  ForEachInChannels(
      view_, begin, end,
      [&](int64_t c) {
        return Channel{LineOf(c), MeansOf(c, sums_of(c))};
      },
      [=](int64_t i, const Channel& channel) {
        const auto& [line, means] = channel;
        const float y = y_of(i, line);
        dx[i] = (dr_of(i, y, line) * line.scale - means.dy - y * means.dy_y) * line.inverse;
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
