// Reduction: each row of the bottom, seen as [M, K] with K the axes from `axis` on, becomes one number; the top keeps
// the axes before.
//   SUM     y = coeff * sum x          dx = coeff * dy
//   ASUM    y = coeff * sum |x|        dx = coeff * dy * sign(x), sign(0) = 0
//   SUMSQ   y = coeff * sum x^2        dx = coeff * dy * 2 x
//   MEAN    y = coeff * sum x / K      dx = coeff * dy / K
// A row is summed in pieces, which are then added in order, so that few long rows are shared among threads too.
#include <cmath>

#include "common/base/status_macros.h"
#include "worker/nn/kernels/buffer.h"
#include "worker/nn/kernels/rows.h"
#include "worker/nn/kernels/sums.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

using Operation = caffe::ReductionParameter::ReductionOp;

class ReductionLayer : public Layer {
 public:
  ReductionLayer(const Shape& in, int axis, const caffe::ReductionParameter& reduction)
      : rows_(Elements(in, 0, axis)),
        width_(Elements(in) / rows_),
        parts_(Pieces(width_, kPart)),
        operation_(reduction.operation()),
        factor_(operation_ == caffe::ReductionParameter::MEAN ? reduction.coeff() / static_cast<double>(width_)
                                                              : reduction.coeff()) {
    AddTop(Shape(in.begin(), in.begin() + axis));
  }

  absl::Status Forward(const Pass& pass) override {
    ForEachPart(pass, [this](int64_t row, int64_t part, int64_t begin, int64_t end) {
      sums_.data()[row * parts_ + part] = Reduced(begin, end - begin);
    });
    for (int64_t row = 0; row < rows_; ++row) {
      double sum = 0;
      for (int64_t part = 0; part < parts_; ++part) sum += sums_.data()[row * parts_ + part];
      top(0).data[row] = static_cast<float>(factor_ * sum);
    }
    return absl::OkStatus();
  }

  void Backward(const Pass& pass) override {
    const float* x = bottom(0).data;
    float* dx = bottom(0).diff;
    ForEachPart(pass, [=, this](int64_t row, int64_t, int64_t begin, int64_t end) {
      const float dy = static_cast<float>(factor_ * top(0).diff[row]);
      if (operation_ == caffe::ReductionParameter::ASUM) {
        for (int64_t i = begin; i < end; ++i) dx[i] = x[i] > 0 ? dy : x[i] < 0 ? -dy : 0.0f;
      } else if (operation_ == caffe::ReductionParameter::SUMSQ) {
        for (int64_t i = begin; i < end; ++i) dx[i] = 2 * dy * x[i];
      } else {
        std::fill(dx + begin, dx + end, dy);
      }
    });
  }

 private:
  static constexpr int64_t kPart = 32 << 10;

  absl::Status Allocate() override { return sums_.Allocate(rows_ * parts_); }

  // body(row, part of the row, places [begin, end) of the bottom)
  template <typename Body>
  void ForEachPart(const Pass& pass, Body body) {
    pass.loop.Run(rows_ * parts_, RowsPerPiece(std::min(width_, kPart)),
                  [&](int64_t first, int64_t last, int64_t, int) {
                    for (int64_t i = first; i < last; ++i) {
                      const int64_t row = i / parts_;
                      const int64_t part = i % parts_;
                      body(row, part, row * width_ + part * kPart, row * width_ + std::min(width_, (part + 1) * kPart));
                    }
                  });
  }

  double Reduced(int64_t begin, int64_t n) const {
    const float* x = bottom(0).data + begin;
    if (operation_ == caffe::ReductionParameter::ASUM) {
      return SumOf<double>(n, [=](int64_t i) { return double{std::abs(x[i])}; });
    }
    if (operation_ == caffe::ReductionParameter::SUMSQ) {
      return SumOf<double>(n, [=](int64_t i) { return double{x[i]} * x[i]; });
    }
    return SumOf<double>(n, [=](int64_t i) { return double{x[i]}; });
  }

  const int64_t rows_;
  const int64_t width_;
  const int64_t parts_;
  const Operation operation_;
  const double factor_;
  // [rows, parts]
  Buffer<double> sums_;
};

}  // namespace

LayerOr CreateReductionLayer(const LayerContext& context) {
  const caffe::ReductionParameter& reduction = context.param.reduction_param();
  SAMOVAR_RETURN_IF_ERROR(CheckFields(reduction, "reduction_param", {"operation", "axis", "coeff"}));
  SAMOVAR_ASSIGN_OR_RETURN(const int axis, CanonicalAxis(context.bottoms[0], reduction.axis()));
  if (!std::isfinite(reduction.coeff())) return absl::InvalidArgumentError("reduction_param.coeff must be finite");
  return std::make_unique<ReductionLayer>(context.bottoms[0], axis, reduction);
}

}  // namespace samovar
