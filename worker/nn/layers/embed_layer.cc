// Embed: each value of the bottom, a whole number below input_dim, becomes the row of the weights of that number, plus
// the bias. Weights [input_dim, num_output], bias [num_output]; top: the bottom's shape and num_output.
//   dW[r] = sum of the dy whose value is r, in their order    db = sum of dy    no gradient for the bottom
// A piece of the weights' gradient is a range of columns, which it sums whole.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/nn/kernels/channels.h"
#include "worker/nn/kernels/rows.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

class EmbedLayer : public Layer {
 public:
  explicit EmbedLayer(const LayerContext& context)
      : name_(context.param.name()),
        values_(Elements(context.bottoms[0])),
        inputs_(context.param.embed_param().input_dim()),
        outputs_(context.param.embed_param().num_output()),
        has_bias_(context.param.embed_param().bias_term()) {
    const caffe::EmbedParameter& embed = context.param.embed_param();
    Shape top = context.bottoms[0];
    top.push_back(outputs_);
    AddTop(std::move(top));
    AddParameter(name_, {inputs_, outputs_}, embed.weight_filler());
    if (has_bias_) AddParameter(name_, {outputs_}, embed.bias_filler());
  }

  bool has_gradient_of_bottom(size_t) const override { return false; }

  absl::Status Forward(const Pass& pass) override {
    SAMOVAR_RETURN_IF_ERROR(CheckValues(pass));
    pass.loop.Run(values_, RowsPerPiece(outputs_), [&](int64_t begin, int64_t end, int64_t, int) {
      const float* bias = has_bias_ ? binding().weights[1] : nullptr;
      for (int64_t i = begin; i < end; ++i) {
        const float* row = binding().weights[0] + RowOf(i) * outputs_;
        float* y = top(0).data + i * outputs_;
        std::copy_n(row, outputs_, y);
        if (bias == nullptr) continue;
#pragma GCC ivdep
        for (int64_t j = 0; j < outputs_; ++j) y[j] += bias[j];
      }
    });
    return absl::OkStatus();
  }

  void Backward(const Pass& pass) override {
    constexpr int64_t kColumnsPerPiece = 64;
    pass.loop.Run(outputs_, kColumnsPerPiece, [&](int64_t begin, int64_t end, int64_t, int) {
      if (binding().gradients[0] != nullptr) WeightGradient(begin, end);
      if (has_bias_ && binding().gradients[1] != nullptr) BiasGradient(begin, end);
    });
  }

 private:
  int64_t RowOf(int64_t i) const { return static_cast<int64_t>(bottom(0).data[i]); }

  absl::Status CheckValues(const Pass& pass) const {
    for (int64_t i = 0; i < values_; ++i) {
      const float value = bottom(0).data[i];
      if (value >= 0 && value < static_cast<float>(inputs_) && value == static_cast<float>(static_cast<int64_t>(value)))
        continue;
      return absl::InvalidArgumentError(
          absl::StrCat("iteration ", pass.iteration, ": layer \"", name_, "\" (Embed): its bottom \"",
                       bottom(0).written_name, "\" has the value ", value, "; it must be a whole number from 0 to ",
                       inputs_ - 1, " (embed_param.input_dim is ", inputs_, ")"));
    }
    return absl::OkStatus();
  }

  void WeightGradient(int64_t begin, int64_t end) {
    float* gradient = binding().gradients[0];
    const float* dy = top(0).diff;
    for (int64_t row = 0; row < inputs_; ++row)
      std::fill(gradient + row * outputs_ + begin, gradient + row * outputs_ + end, 0.0f);
    for (int64_t i = 0; i < values_; ++i) {
      float* to = gradient + RowOf(i) * outputs_;
      const float* from = dy + i * outputs_;
#pragma GCC ivdep
      for (int64_t j = begin; j < end; ++j) to[j] += from[j];
    }
  }

  void BiasGradient(int64_t begin, int64_t end) {
    double sums[Channels::kMaxPerPiece];
    SumChannels({values_, outputs_, 1}, begin, end, sums,
                [dy = top(0).diff](int64_t i, int64_t) { return double{dy[i]}; });
    for (int64_t j = begin; j < end; ++j) binding().gradients[1][j] = static_cast<float>(sums[j - begin]);
  }

  const std::string name_;
  const int64_t values_;
  const int64_t inputs_;
  const int64_t outputs_;
  const bool has_bias_;
};

}  // namespace

LayerOr CreateEmbedLayer(const LayerContext& context) {
  const caffe::EmbedParameter& embed = context.param.embed_param();
  SAMOVAR_RETURN_IF_ERROR(
      CheckFields(embed, "embed_param", {"num_output", "input_dim", "bias_term", "weight_filler", "bias_filler"}));
  if (embed.num_output() < 1)
    return absl::InvalidArgumentError("embed_param.num_output is missing or 0; give 1 or more");
  // Floats hold whole numbers up to 2^24.
  constexpr uint32_t kMaxInputs = 1 << 24;
  if (embed.input_dim() < 1 || embed.input_dim() > kMaxInputs) {
    return absl::InvalidArgumentError(
        absl::StrCat("embed_param.input_dim is ", embed.input_dim(), "; give 1 to ", kMaxInputs));
  }
  return std::make_unique<EmbedLayer>(context);
}

}  // namespace samovar
