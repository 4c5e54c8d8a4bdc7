#include "worker/nn/layers/eltwise_layer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

template <typename Body>
void Run(const Pass& pass, int64_t elements, Body body) {
  constexpr int64_t kElementsPerPiece = 32 << 10;
  pass.loop.Run(elements, kElementsPerPiece, [&](int64_t begin, int64_t end, int64_t, int) { body(begin, end); });
}

// As the ReLU's own pass: a NaN stays one.
template <bool kRelu>
float Finish(float sum) {
  return kRelu ? (sum > 0 ? 1.0f : 0.0f) * sum : sum;
}

}  // namespace

EltwiseLayer::EltwiseLayer(const LayerContext& context, std::vector<float> coefficients)
    : operation_(context.param.eltwise_param().operation()),
      coefficients_(std::move(coefficients)),
      test_(context.phase == caffe::TEST) {
  AddTop(context.bottoms[0]);
}

absl::Status EltwiseLayer::Allocate() {
  return operation_ == caffe::EltwiseParameter::MAX ? taken_.Allocate(top(0).elements()) : absl::OkStatus();
}

absl::Status EltwiseLayer::Forward(const Pass& pass) {
  Run(pass, top(0).elements(), [this](int64_t begin, int64_t end) {
    if (is_sum()) return relu_ ? Sum<true>(begin, end) : Sum<false>(begin, end);
    operation_ == caffe::EltwiseParameter::PROD ? Multiply(begin, end) : Maximum(begin, end);
  });
  return absl::OkStatus();
}

void EltwiseLayer::Backward(const Pass& pass) {
  Run(pass, top(0).elements(), [this](int64_t begin, int64_t end) {
    // In place the first bottom's diff is the top's: it comes last.
    for (size_t k = binding().bottoms.size(); k-- > 0;) {
      if (!binding().propagate_down[k]) continue;
      if (is_sum()) {
        SumGradient(k, begin, end);
      } else if (operation_ == caffe::EltwiseParameter::PROD) {
        ProductGradient(k, begin, end);
      } else {
        MaximumGradient(k, begin, end);
      }
    }
  });
}

template <bool kRelu>
void EltwiseLayer::Sum(int64_t begin, int64_t end) {
  float* y = top(0).data;
  const float* first = bottom(0).data;
  const float* second = bottom(1).data;
  const float c0 = coefficients_[0];
  const float c1 = coefficients_[1];
  const size_t bottoms = binding().bottoms.size();
  if (bottoms == 2) {
#pragma GCC ivdep
    for (int64_t i = begin; i < end; ++i) y[i] = Finish<kRelu>(c0 * first[i] + c1 * second[i]);
    return;
  }
#pragma GCC ivdep
  for (int64_t i = begin; i < end; ++i) y[i] = c0 * first[i] + c1 * second[i];
  for (size_t k = 2; k < bottoms; ++k) {
    const float* x = bottom(k).data;
    const float c = coefficients_[k];
#pragma GCC ivdep
    for (int64_t i = begin; i < end; ++i) y[i] += c * x[i];
  }
  if (!kRelu) return;
  for (int64_t i = begin; i < end; ++i) y[i] = Finish<kRelu>(y[i]);
}

void EltwiseLayer::Multiply(int64_t begin, int64_t end) {
  float* y = top(0).data;
  const float* first = bottom(0).data;
  const float* second = bottom(1).data;
#pragma GCC ivdep
  for (int64_t i = begin; i < end; ++i) y[i] = first[i] * second[i];
  for (size_t k = 2; k < binding().bottoms.size(); ++k) {
    const float* x = bottom(k).data;
#pragma GCC ivdep
    for (int64_t i = begin; i < end; ++i) y[i] *= x[i];
  }
}

void EltwiseLayer::Maximum(int64_t begin, int64_t end) {
  const float* first = bottom(0).data;
  const float* second = bottom(1).data;
  float* y = top(0).data;
  int32_t* taken = taken_.data();
#pragma GCC ivdep
  for (int64_t i = begin; i < end; ++i) {
    taken[i] = first[i] > second[i] ? 0 : 1;
    y[i] = first[i] > second[i] ? first[i] : second[i];
  }
  for (size_t k = 2; k < binding().bottoms.size(); ++k) {
    const float* x = bottom(k).data;
#pragma GCC ivdep
    for (int64_t i = begin; i < end; ++i) {
      taken[i] = x[i] > y[i] ? static_cast<int32_t>(k) : taken[i];
      y[i] = x[i] > y[i] ? x[i] : y[i];
    }
  }
}

void EltwiseLayer::SumGradient(size_t k, int64_t begin, int64_t end) {
  const float* dy = top(0).diff;
  const float* y = top(0).data;
  float* dx = bottom(k).diff;
  const float c = coefficients_[k];
  if (!relu_) {
#pragma GCC ivdep
    for (int64_t i = begin; i < end; ++i) dx[i] = c * dy[i];
    return;
  }
#pragma GCC ivdep
  for (int64_t i = begin; i < end; ++i) dx[i] = c * ((y[i] > 0 ? 1.0f : 0.0f) * dy[i]);
}

void EltwiseLayer::ProductGradient(size_t k, int64_t begin, int64_t end) {
  const float* dy = top(0).diff;
  float* dx = bottom(k).diff;
  std::copy(dy + begin, dy + end, dx + begin);
  for (size_t other = 0; other < binding().bottoms.size(); ++other) {
    if (other == k) continue;
    const float* x = bottom(other).data;
#pragma GCC ivdep
    for (int64_t i = begin; i < end; ++i) dx[i] *= x[i];
  }
}

void EltwiseLayer::MaximumGradient(size_t k, int64_t begin, int64_t end) {
  const float* dy = top(0).diff;
  const int32_t* taken = taken_.data();
  float* dx = bottom(k).diff;
#pragma GCC ivdep
  for (int64_t i = begin; i < end; ++i) dx[i] = taken[i] == static_cast<int32_t>(k) ? dy[i] : 0.0f;
}

LayerOr CreateEltwiseLayer(const LayerContext& context) {
  const caffe::EltwiseParameter& eltwise = context.param.eltwise_param();
  SAMOVAR_RETURN_IF_ERROR(CheckFields(eltwise, "eltwise_param", {"operation", "coeff", "stable_prod_grad"}));
  for (const Shape& shape : context.bottoms) {
    if (shape == context.bottoms[0]) continue;
    return absl::InvalidArgumentError(absl::StrCat("the bottoms have shapes ", ToString(context.bottoms[0]), " and ",
                                                   ToString(shape),
                                                   ", but must have the same; check the layers that make them"));
  }
  if (eltwise.coeff_size() > 0 && eltwise.operation() != caffe::EltwiseParameter::SUM) {
    return absl::InvalidArgumentError("eltwise_param.coeff is for operation SUM; remove it");
  }
  if (eltwise.coeff_size() > 0 && eltwise.coeff_size() != context.param.bottom_size()) {
    return absl::InvalidArgumentError(absl::StrCat("eltwise_param.coeff has ", eltwise.coeff_size(), " entries for ",
                                                   context.param.bottom_size(), " bottoms; give one each, or none"));
  }
  for (float coefficient : eltwise.coeff()) {
    if (!std::isfinite(coefficient)) return absl::InvalidArgumentError("eltwise_param.coeff must be finite");
  }
  std::vector<float> coefficients(eltwise.coeff().begin(), eltwise.coeff().end());
  coefficients.resize(context.bottoms.size(), 1.0f);
  return std::make_unique<EltwiseLayer>(context, std::move(coefficients));
}

}  // namespace samovar
