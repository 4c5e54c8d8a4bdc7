// Scale and Bias: y = s * x + b, with s and b spread over the other axes of x. x is seen as [outer, channels, inner],
// channels being num_axes axes from `axis` on (-1: all from there; 0: none, so that s and b are one number each for all
// of x).
//   Scale   s is a parameter, or the second bottom; b is a parameter if bias_term, else 0
//   Bias    s is 1; b is a parameter, or the second bottom
// A second bottom's own shape says how many axes it covers; one without axes is one number for all of x.
//   ds = sum of dy * x over the outer and inner axes    db = sum of dy likewise    dx = s * dy
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/nn/kernels/channels.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

// Where s or b comes from.
struct Source {
  enum Kind { kNone, kBottom, kParameter };
  Kind kind = kNone;
  size_t parameter = 0;
};

class ScaleLayer : public Layer {
 public:
  ScaleLayer(const Shape& shape, const Channels& view, Source scale, Source bias, bool test)
      : view_(view), scale_(scale), bias_(bias), test_(test) {
    AddTop(shape);
  }
  // For the factories, in the order of the blobs.
  using Layer::AddParameter;

  // In place Backward would not find x, which ds needs.
  bool can_work_in_place() const override { return test_ || scale_.kind == Source::kNone; }
  bool has_gradient_of_bottom(size_t) const override { return true; }

  absl::Status Forward(const Pass& pass) override {
    const float* x = bottom(0).data;
    float* y = top(0).data;
    const float* s = Data(scale_);
    const float* b = Data(bias_);
    Run(pass, [=, this](int64_t begin, int64_t end) {
      auto add = [=](int64_t i, float bias) { y[i] = x[i] + bias; };
      auto multiply = [=](int64_t i, float scale) { y[i] = x[i] * scale; };
      auto both = [=](int64_t i, const std::pair<float, float>& line) { y[i] = x[i] * line.first + line.second; };
      if (s == nullptr)
        return ForEachInChannels(
            view_, begin, end, [=](int64_t c) { return b[c]; }, add);
      if (b == nullptr)
        return ForEachInChannels(
            view_, begin, end, [=](int64_t c) { return s[c]; }, multiply);
      ForEachInChannels(
          view_, begin, end, [=](int64_t c) { return std::pair<float, float>(s[c], b[c]); }, both);
    });
    return absl::OkStatus();
  }

  void Backward(const Pass& pass) override {
    const float* x = bottom(0).data;
    const float* dy = top(0).diff;
    float* dx = bottom(0).diff;
    const float* s = Data(scale_);
    float* ds = Gradient(scale_);
    float* db = Gradient(bias_);
    Run(pass, [=, this](int64_t begin, int64_t end) {
      const auto product = [=](int64_t i, int64_t) { return double{dy[i]} * x[i]; };
      const auto value = [=](int64_t i, int64_t) { return double{dy[i]}; };
      double products[Channels::kMaxPerPiece];
      double sums[Channels::kMaxPerPiece];
      if (ds != nullptr && db != nullptr) {
        SumChannelsTwice(view_, begin, end, products, product, sums, value);
      } else if (ds != nullptr) {
        SumChannels(view_, begin, end, products, product);
      } else if (db != nullptr) {
        SumChannels(view_, begin, end, sums, value);
      }
      for (int64_t c = begin; c < end && ds != nullptr; ++c) ds[c] = static_cast<float>(products[c - begin]);
      for (int64_t c = begin; c < end && db != nullptr; ++c) db[c] = static_cast<float>(sums[c - begin]);
      if (!binding().propagate_down[0] || (s == nullptr && dx == dy)) return;
      ForEachInChannels(
          view_, begin, end, [=](int64_t c) { return s == nullptr ? 1.0f : s[c]; },
          [=](int64_t i, float scale) { dx[i] = dy[i] * scale; });
    });
  }

 private:
  const float* Data(Source source) const {
    if (source.kind == Source::kNone) return nullptr;
    return source.kind == Source::kBottom ? bottom(1).data : binding().weights[source.parameter];
  }

  // Null if it is not wanted.
  float* Gradient(Source source) const {
    if (source.kind == Source::kNone) return nullptr;
    if (source.kind == Source::kParameter) return binding().gradients[source.parameter];
    return binding().propagate_down[1] ? bottom(1).diff : nullptr;
  }

  template <typename Body>
  void Run(const Pass& pass, Body body) {
    pass.loop.Run(view_.channels, view_.per_piece(),
                  [&](int64_t begin, int64_t end, int64_t, int) { body(begin, end); });
  }

  const Channels view_;
  const Source scale_, bias_;
  const bool test_;
};

// The axes [axis, axis + axes) of the bottom that s and b cover.
struct Covered {
  int axis;
  int axes;
};

// `name` is that of the message.
absl::StatusOr<Covered> ReadAxes(const LayerContext& context, absl::string_view name, int axis, int num_axes) {
  const Shape& in = context.bottoms[0];
  const bool given = context.bottoms.size() > 1;
  if (!given && num_axes < -1) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ".num_axes is ", num_axes, "; give 0 or more, or -1 for all from the axis on"));
  }
  const Shape second = given ? context.bottoms[1] : Shape();
  if (given && second.empty()) return Covered{0, 0};
  SAMOVAR_ASSIGN_OR_RETURN(const int first, CanonicalAxis(in, axis));
  const int rest = static_cast<int>(in.size()) - first;
  const int axes = given ? static_cast<int>(second.size()) : num_axes == -1 ? rest : num_axes;
  if (axes > rest) {
    return absl::InvalidArgumentError(
        absl::StrCat(given ? "the second bottom has " : absl::StrCat(name, ".num_axes is "), axes, ", but ", rest,
                     " axes are left from axis ", first, " on; lower ", name, ".axis"));
  }
  const Shape covered(in.begin() + first, in.begin() + first + axes);
  if (given && covered != second) {
    return absl::InvalidArgumentError(absl::StrCat("the second bottom must have the shape ", ToString(covered),
                                                   " that the first has from axis ", first, " on; set ", name,
                                                   ".axis"));
  }
  return Covered{first, axes};
}

}  // namespace

LayerOr CreateScaleLayer(const LayerContext& context) {
  const caffe::ScaleParameter& scale = context.param.scale_param();
  SAMOVAR_RETURN_IF_ERROR(
      CheckFields(scale, "scale_param", {"axis", "num_axes", "filler", "bias_term", "bias_filler"}));
  SAMOVAR_ASSIGN_OR_RETURN(const Covered covered, ReadAxes(context, "scale_param", scale.axis(), scale.num_axes()));
  const Shape& in = context.bottoms[0];
  const Shape shape(in.begin() + covered.axis, in.begin() + covered.axis + covered.axes);
  const bool own = context.bottoms.size() == 1;
  const Source from{own ? Source::kParameter : Source::kBottom, 0};
  const Source bias{scale.bias_term() ? Source::kParameter : Source::kNone, own ? size_t{1} : size_t{0}};
  auto layer = std::make_unique<ScaleLayer>(in, Channels::Of(in, covered.axis, covered.axes), from, bias,
                                            context.phase == caffe::TEST);
  if (own) {
    caffe::FillerParameter filler = scale.filler();
    if (!scale.has_filler()) filler.set_value(1);
    layer->AddParameter(context.param.name(), shape, filler);
  }
  if (scale.bias_term()) layer->AddParameter(context.param.name(), shape, scale.bias_filler());
  return layer;
}

LayerOr CreateBiasLayer(const LayerContext& context) {
  const caffe::BiasParameter& bias = context.param.bias_param();
  SAMOVAR_RETURN_IF_ERROR(CheckFields(bias, "bias_param", {"axis", "num_axes", "filler"}));
  SAMOVAR_ASSIGN_OR_RETURN(const Covered covered, ReadAxes(context, "bias_param", bias.axis(), bias.num_axes()));
  const Shape& in = context.bottoms[0];
  const bool own = context.bottoms.size() == 1;
  auto layer =
      std::make_unique<ScaleLayer>(in, Channels::Of(in, covered.axis, covered.axes), Source{},
                                   Source{own ? Source::kParameter : Source::kBottom, 0}, context.phase == caffe::TEST);
  if (own) {
    const Shape shape(in.begin() + covered.axis, in.begin() + covered.axis + covered.axes);
    layer->AddParameter(context.param.name(), shape, bias.filler());
  }
  return layer;
}

}  // namespace samovar
