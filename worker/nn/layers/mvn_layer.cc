// MVN: each plane, or with across_channels each record, brought to mean 0 and, with normalize_variance, standard
// deviation 1:
//   y = (x - mean) / (sqrt(var) + eps)    dx = (dy - mean(dy) - y * mean(dy * y)) / (sqrt(var) + eps)
//   y = x - mean                          dx = dy - mean(dy)
// var is the sum of squared distances from the mean, divided by the number of values.
// The first gradient takes eps for 0 beside sqrt(var), as Caffe does; eps is 1e-9 unless it is given.
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/nn/kernels/buffer.h"
#include "worker/nn/kernels/rows.h"
#include "worker/nn/kernels/sums.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

class MvnLayer : public Layer {
 public:
  MvnLayer(const Shape& in, const caffe::MVNParameter& mvn)
      : rows_(Elements(in, 0, mvn.across_channels() ? 1 : 2)),
        width_(Elements(in) / rows_),
        normalize_(mvn.normalize_variance()),
        eps_(mvn.eps()) {
    AddTop(in);
  }

  // Backward reads y and never x.
  bool can_work_in_place() const override { return true; }
  bool backward_reads_tops() const override { return normalize_; }

  absl::Status Forward(const Pass& pass) override {
    pass.loop.Run(rows_, RowsPerPiece(width_), [&](int64_t begin, int64_t end, int64_t, int) {
      for (int64_t row = begin; row < end; ++row) ForwardRow(row);
    });
    return absl::OkStatus();
  }

  void Backward(const Pass& pass) override {
    pass.loop.Run(rows_, RowsPerPiece(width_), [&](int64_t begin, int64_t end, int64_t, int) {
      for (int64_t row = begin; row < end; ++row) BackwardRow(row);
    });
  }

 private:
  absl::Status Allocate() override { return inverses_.Allocate(rows_); }

  void ForwardRow(int64_t row) {
    const float* x = bottom(0).data + row * width_;
    float* y = top(0).data + row * width_;
    const double n = static_cast<double>(width_);
    const double mean = SumOf<double>(width_, [=](int64_t i) { return double{x[i]}; }) / n;
    double inverse = 1;
    if (normalize_) {
      const double variance = SumOf<double>(width_, [=](int64_t i) { return (x[i] - mean) * (x[i] - mean); }) / n;
      inverse = 1 / (std::sqrt(variance) + eps_);
    }
    inverses_.data()[row] = static_cast<float>(inverse);
    const float shift = static_cast<float>(mean);
    const float factor = static_cast<float>(inverse);
#pragma GCC ivdep
    for (int64_t i = 0; i < width_; ++i) y[i] = (x[i] - shift) * factor;
  }

  void BackwardRow(int64_t row) {
    const float* y = top(0).data + row * width_;
    const float* dy = top(0).diff + row * width_;
    float* dx = bottom(0).diff + row * width_;
    const double n = static_cast<double>(width_);
    const float mean = static_cast<float>(SumOf<double>(width_, [=](int64_t i) { return double{dy[i]}; }) / n);
    if (!normalize_) {
#pragma GCC ivdep
      for (int64_t i = 0; i < width_; ++i) dx[i] = dy[i] - mean;
      return;
    }
    const float product =
        static_cast<float>(SumOf<double>(width_, [=](int64_t i) { return double{dy[i]} * y[i]; }) / n);
    const float inverse = inverses_.data()[row];
#pragma GCC ivdep
    for (int64_t i = 0; i < width_; ++i) dx[i] = (dy[i] - mean - y[i] * product) * inverse;
  }

  const int64_t rows_;
  const int64_t width_;
  const bool normalize_;
  const double eps_;
  // Set by the last Forward, one a row.
  Buffer<float> inverses_;
};

}  // namespace

LayerOr CreateMvnLayer(const LayerContext& context) {
  const caffe::MVNParameter& mvn = context.param.mvn_param();
  SAMOVAR_RETURN_IF_ERROR(CheckFields(mvn, "mvn_param", {"normalize_variance", "across_channels", "eps"}));
  if (!(mvn.eps() >= 0))
    return absl::InvalidArgumentError(absl::StrCat("mvn_param.eps is ", mvn.eps(), "; give 0 or more"));
  if (context.bottoms[0].size() < 2) {
    return absl::InvalidArgumentError("MVN needs a bottom with axes for records and channels; add a Reshape layer");
  }
  return std::make_unique<MvnLayer>(context.bottoms[0], mvn);
}

}  // namespace samovar
