// ArgMax: places of the top_k largest values, largest first; of equal values the later place comes first. NaN counts as
// largest.
//   with axis      among the values along it; top: the bottom's shape with top_k in its place; holds places, or, with
//                  out_max_val, the values instead
//   without        among all values of a record; top: [records, 1, top_k], or, with out_max_val, [records, 2, top_k]:
//   places,
//                  then values; followed by ones up to the bottom's number of axes
// No gradient.
#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/nn/kernels/buffer.h"
#include "worker/nn/kernels/softmax_kernel.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

class ArgMaxLayer : public Layer {
 public:
  // `axis`: the values that compete.
  ArgMaxLayer(const caffe::ArgMaxParameter& param, SoftmaxAxis axis, Shape top)
      : axis_(axis),
        top_k_(param.top_k()),
        values_(param.out_max_val()),
        both_(param.out_max_val() && !param.has_axis()) {
    AddTop(std::move(top));
  }

  bool has_backward() const override { return false; }

  absl::Status Forward(const Pass& pass) override {
    const int64_t per_piece = std::max<int64_t>(1, 4096 / axis_.channels);
    pass.loop.Run(axis_.positions(), per_piece, [&](int64_t begin, int64_t end, int64_t, int thread) {
      int32_t* order = order_.data() + thread * axis_.channels;
      for (int64_t position = begin; position < end; ++position) Rank(position, order);
    });
    return absl::OkStatus();
  }

  void Backward(const Pass&) override {}

 private:
  absl::Status Allocate() override { return order_.Allocate(binding().threads * axis_.channels); }

  void Rank(int64_t position, int32_t* order) {
    const int64_t block = position / axis_.inner;
    const float* x = bottom(0).data + block * axis_.channels * axis_.inner + position % axis_.inner;
    const auto value = [&](int32_t i) { return x[i * axis_.inner]; };
    for (int32_t i = 0; i < axis_.channels; ++i) order[i] = i;
    std::partial_sort(order, order + top_k_, order + axis_.channels, [&](int32_t a, int32_t b) {
      if (std::isnan(value(a)) != std::isnan(value(b))) return std::isnan(value(a));
      if (value(a) > value(b)) return true;
      return value(a) < value(b) ? false : a > b;
    });
    float* y = top(0).data + block * (both_ ? 2 : 1) * top_k_ * axis_.inner + position % axis_.inner;
    for (int64_t j = 0; j < top_k_; ++j) {
      y[j * axis_.inner] = values_ && !both_ ? value(order[j]) : static_cast<float>(order[j]);
      if (both_) y[top_k_ + j] = value(order[j]);
    }
  }

  const SoftmaxAxis axis_;
  const int64_t top_k_;
  const bool values_;
  const bool both_;
  // Places, largest value first: [threads, channels].
  Buffer<int32_t> order_;
};

}  // namespace

LayerOr CreateArgMaxLayer(const LayerContext& context) {
  const caffe::ArgMaxParameter& param = context.param.argmax_param();
  const Shape& bottom = context.bottoms[0];
  SAMOVAR_RETURN_IF_ERROR(CheckFields(param, "argmax_param", {"out_max_val", "top_k", "axis"}));
  SoftmaxAxis axis{bottom.empty() ? 1 : bottom[0], RecordElements(bottom), 1};
  int number = 0;
  if (param.has_axis()) {
    SAMOVAR_ASSIGN_OR_RETURN(number, CanonicalAxis(bottom, param.axis()));
    axis = SoftmaxAxis::Of(bottom, number);
  }
  if (param.top_k() < 1 || param.top_k() > axis.channels) {
    return absl::InvalidArgumentError(absl::StrCat("argmax_param.top_k is ", param.top_k(),
                                                   "; it must be 1 to the number of values that are compared, ",
                                                   axis.channels));
  }
  Shape top = bottom;
  if (param.has_axis()) {
    top[static_cast<size_t>(number)] = param.top_k();
  } else {
    top.assign(std::max<size_t>(3, bottom.size()), 1);
    top[0] = axis.outer;
    top[1] = param.out_max_val() ? 2 : 1;
    top[2] = param.top_k();
  }
  return std::make_unique<ArgMaxLayer>(param, axis, std::move(top));
}

}  // namespace samovar
