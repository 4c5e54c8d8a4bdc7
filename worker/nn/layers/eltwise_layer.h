// Eltwise: one value of each bottom makes one of the top. Bottoms have one shape.
//   SUM    y = c1 x1 + c2 x2 + ...        dxk = ck dy
//   PROD   y = x1 x2 ...                  dxk = dy times the product of the others
//   MAX    y = max(x1, x2, ...)           dxk = dy where y is xk's, else 0; of equal values the second bottom's goes
//                                         before the first's, and both before those of later bottoms
// stable_prod_grad false asks for y / xk instead of the product of the others: the same number, but NaN where xk is 0.
// The product is taken in both cases.
//
// A sum can do the work of a ReLU above it with the same passes over memory (net_fusion.h): z = max(y, 0), as ReLU has
// it, is all that is written, and dxk = ck dz where z > 0, else 0.
#pragma once

#include <cstdint>
#include <vector>

#include "worker/nn/kernels/buffer.h"
#include "worker/nn/layer.h"

namespace samovar {

class EltwiseLayer : public Layer {
 public:
  // One coefficient a bottom.
  EltwiseLayer(const LayerContext& context, std::vector<float> coefficients);

  bool is_sum() const { return operation_ == caffe::EltwiseParameter::SUM; }
  // Before Bind, whose top is then the ReLU's. REQUIRES: is_sum()
  void AbsorbRelu() { relu_ = true; }

  // The gradient of a product needs all bottoms.
  bool can_work_in_place() const override { return test_ || operation_ != caffe::EltwiseParameter::PROD; }
  bool has_gradient_of_bottom(size_t) const override { return true; }

  absl::Status Forward(const Pass& pass) override;
  void Backward(const Pass& pass) override;

 private:
  absl::Status Allocate() override;

  // Values [begin, end).
  template <bool kRelu>
  void Sum(int64_t begin, int64_t end);
  void Multiply(int64_t begin, int64_t end);
  void Maximum(int64_t begin, int64_t end);
  // The gradient of bottom k.
  void SumGradient(size_t k, int64_t begin, int64_t end);
  void ProductGradient(size_t k, int64_t begin, int64_t end);
  void MaximumGradient(size_t k, int64_t begin, int64_t end);

  const caffe::EltwiseParameter::EltwiseOp operation_;
  const std::vector<float> coefficients_;
  const bool test_;
  bool relu_ = false;
  // For MAX: the number of the bottom whose value the top has.
  Buffer<int32_t> taken_;
};

}  // namespace samovar
