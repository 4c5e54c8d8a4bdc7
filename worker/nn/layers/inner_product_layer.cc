// InnerProduct: y = x W^T + b, with x the bottom flattened to [M, K]: K the axes from `axis` on, M all before.
// Weights W [N, K], or [K, N] with transpose; bias [N]; top: the leading axes and N.
//   dW = dy^T x    db = column sums of dy    dx = dy W
// Products are cut by columns of the result (rows of dW); one piece sums a whole column: no partial sums to add.
//
// Forward reads weights where they lie (panel_product.h): at usual batches there are too few rows to pay for packing.
// W [N, K] is multiplied by x turned to [K, M], so that whole vectors of records are worked on.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/nn/kernels/buffer.h"
#include "worker/nn/kernels/channels_last.h"
#include "worker/nn/kernels/eigen.h"
#include "worker/nn/kernels/packet.h"
#include "worker/nn/kernels/panel_product.h"
#include "worker/nn/kernels/product.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

// Columns of a piece at most.
constexpr int64_t kMostOutputs = 128;
constexpr int64_t kMostInputs = 256;

// Columns a piece: as few pieces as `most` allows, of nearly the same size, so that threads have as much to do.
int64_t ColumnsPerPiece(int64_t columns, int64_t most) {
  constexpr int64_t kWidth = 16;
  const int64_t pieces = Pieces(columns, most);
  return Pieces(Pieces(columns, pieces), kWidth) * kWidth;
}

class InnerProductLayer : public Layer {
 public:
  InnerProductLayer(const LayerContext& context, int axis)
      : rows_(Elements(context.bottoms[0], 0, axis)),
        inputs_(Elements(context.bottoms[0], axis, static_cast<int>(context.bottoms[0].size()))),
        outputs_(context.param.inner_product_param().num_output()),
        transpose_(context.param.inner_product_param().transpose()),
        has_bias_(context.param.inner_product_param().bias_term()),
        outputs_per_piece_(ColumnsPerPiece(outputs_, kMostOutputs)),
        inputs_per_piece_(ColumnsPerPiece(inputs_, kMostInputs)) {
    const caffe::InnerProductParameter& ip = context.param.inner_product_param();
    Shape top(context.bottoms[0].begin(), context.bottoms[0].begin() + axis);
    top.push_back(outputs_);
    AddTop(std::move(top));
    AddParameter(context.param.name(), transpose_ ? Shape{inputs_, outputs_} : Shape{outputs_, inputs_},
                 ip.weight_filler());
    if (has_bias_) AddParameter(context.param.name(), {outputs_}, ip.bias_filler());
  }

  double forward_flops() const override {
    return 2 * products() + (has_bias_ ? static_cast<double>(rows_ * outputs_) : 0);
  }
  double backward_flops() const override {
    const bool bias = has_bias_ && binding().gradients[1] != nullptr;
    return (binding().gradients[0] != nullptr ? 2 * products() : 0) +
           (bias ? static_cast<double>(rows_ * outputs_) : 0) + (binding().propagate_down[0] ? 2 * products() : 0);
  }

  absl::Status Forward(const Pass& pass) override {
    if (turns()) TurnBottom(pass);
    pass.loop.Run(outputs_, outputs_per_piece_, [&](int64_t begin, int64_t end, int64_t, int thread) {
      turns() ? ForwardTurned(begin, end - begin, work(thread)) : ForwardAsIs(begin, end - begin, work(thread));
    });
    return absl::OkStatus();
  }

  void Backward(const Pass& pass) override {
    if (binding().gradients[0] != nullptr) WeightGradient(pass);
    if (has_bias_ && binding().gradients[1] != nullptr) BiasGradient();
    if (binding().propagate_down[0]) DataGradient(pass);
  }

 private:
  double products() const {
    return static_cast<double>(rows_) * static_cast<double>(inputs_) * static_cast<double>(outputs_);
  }

  // With one record a product is as long as reading the weights takes, in any order.
  bool turns() const { return !transpose_ && rows_ > 1; }
  int64_t turned_rows() const { return RoundUpToPackets(rows_); }

  absl::Status Allocate() override {
    work_stride_ = 0;
    // For whole pieces, and for the last one.
    for (const int64_t count : {std::min(outputs_, outputs_per_piece_), outputs_ % outputs_per_piece_}) {
      const ProductSize gradient = transpose_ ? ProductSize{inputs_, count, rows_} : ProductSize{count, inputs_, rows_};
      const int64_t forward = turns() ? Pieces(count * turned_rows(), 16) * 16 : PackedFloats({rows_, count, inputs_});
      work_stride_ = std::max({work_stride_, forward, PackedFloats(gradient)});
    }
    for (const int64_t count : {std::min(inputs_, inputs_per_piece_), inputs_ % inputs_per_piece_}) {
      work_stride_ = std::max(work_stride_, PackedFloats({rows_, count, outputs_}));
    }
    if (turns()) SAMOVAR_RETURN_IF_ERROR(turned_.Allocate(inputs_ * turned_rows()));
    return work_.Allocate(work_stride_ * binding().threads);
  }

  float* work(int thread) { return work_.data() + thread * work_stride_; }

  void TurnBottom(const Pass& pass) {
    constexpr int64_t kInputsPerPiece = 256;
    pass.loop.Run(inputs_, kInputsPerPiece, [&](int64_t begin, int64_t end, int64_t, int) {
      Transpose(bottom(0).data + begin, rows_, end - begin, inputs_, turned_.data() + begin * turned_rows(),
                turned_rows());
    });
  }

  // Outputs [begin, begin + count) of all records, by way of their transpose.
  void ForwardTurned(int64_t begin, int64_t count, float* out) {
    const int64_t rows = turned_rows();
    for (int64_t i = 0; i < count; ++i)
      std::fill_n(out + i * rows, rows, has_bias_ ? binding().weights[1][begin + i] : 0.0f);
    AddPanelProduct({count, rows, inputs_}, binding().weights[0] + begin * inputs_, turned_.data(), out);
    Transpose(out, count, rows_, rows, top(0).data + begin, outputs_);
  }

  void ForwardAsIs(int64_t begin, int64_t count, float* packed) {
    StridedMap out(top(0).data + begin, rows_, count, Eigen::OuterStride<>(outputs_));
    if (has_bias_) {
      out.rowwise() = Eigen::Map<const Eigen::RowVectorXf>(binding().weights[1] + begin, count);
    } else {
      out.setZero();
    }
    AddProduct({rows_, count, inputs_}, {bottom(0).data, inputs_}, WeightsTo(begin), out.data(), outputs_, packed);
  }

  // W^T [K, N] from output `begin` on.
  Factor WeightsTo(int64_t begin) const {
    return transpose_ ? Factor{binding().weights[0] + begin, outputs_}
                      : Factor{binding().weights[0] + begin * inputs_, inputs_, true};
  }
  // W [N, K] from input `begin` on.
  Factor WeightsFrom(int64_t begin) const {
    return transpose_ ? Factor{binding().weights[0] + begin * outputs_, outputs_, true}
                      : Factor{binding().weights[0] + begin, inputs_};
  }

  void WeightGradient(const Pass& pass) {
    const Factor in = {bottom(0).data, inputs_};
    pass.loop.Run(outputs_, outputs_per_piece_, [&](int64_t begin, int64_t end, int64_t, int thread) {
      const int64_t count = end - begin;
      const Factor diff = {top(0).diff + begin, outputs_};
      if (transpose_) {
        StridedMap out(binding().gradients[0] + begin, inputs_, count, Eigen::OuterStride<>(outputs_));
        out.setZero();
        AddProduct({inputs_, count, rows_}, Transposed(in), diff, out.data(), outputs_, work(thread));
      } else {
        MatrixMap out(binding().gradients[0] + begin * inputs_, count, inputs_);
        out.setZero();
        AddProduct({count, inputs_, rows_}, Transposed(diff), in, out.data(), inputs_, work(thread));
      }
    });
  }

  void BiasGradient() {
    float* __restrict gradient = binding().gradients[1];
    const float* __restrict diff = top(0).diff;
    for (int64_t j = 0; j < outputs_; ++j) gradient[j] = diff[j];
    for (int64_t row = 1; row < rows_; ++row) {
      for (int64_t j = 0; j < outputs_; ++j) gradient[j] += diff[row * outputs_ + j];
    }
  }

  void DataGradient(const Pass& pass) {
    pass.loop.Run(inputs_, inputs_per_piece_, [&](int64_t begin, int64_t end, int64_t, int thread) {
      const int64_t count = end - begin;
      StridedMap out(bottom(0).diff + begin, rows_, count, Eigen::OuterStride<>(inputs_));
      out.setZero();
      AddProduct({rows_, count, outputs_}, {top(0).diff, outputs_}, WeightsFrom(begin), out.data(), inputs_,
                 work(thread));
    });
  }

  const int64_t rows_;
  const int64_t inputs_;
  const int64_t outputs_;
  const bool transpose_;
  const bool has_bias_;
  const int64_t outputs_per_piece_;
  const int64_t inputs_per_piece_;

  // x^T [K, M], its rows rounded up to packets.
  Buffer<float> turned_;
  // Per thread: a piece of y^T, or packed factors.
  int64_t work_stride_ = 0;
  Buffer<float> work_;
};

}  // namespace

LayerOr CreateInnerProductLayer(const LayerContext& context) {
  const caffe::InnerProductParameter& ip = context.param.inner_product_param();
  SAMOVAR_RETURN_IF_ERROR(CheckFields(
      ip, "inner_product_param", {"num_output", "bias_term", "weight_filler", "bias_filler", "axis", "transpose"}));
  SAMOVAR_ASSIGN_OR_RETURN(const int axis, CanonicalAxis(context.bottoms[0], ip.axis()));
  if (ip.num_output() < 1)
    return absl::InvalidArgumentError("inner_product_param.num_output is missing or 0; give 1 or more");
  return std::make_unique<InnerProductLayer>(context, axis);
}

}  // namespace samovar
