// Concat: the bottoms one after the other along an axis; their other axes agree. Each bottom's gradient is its part of
// the top's.
//
// In a net a bottom may lie in its part of the top, data and diff (net_fusion.h): there is nothing to copy.
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/nn/kernels/rows.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

class ConcatLayer : public Layer {
 public:
  ConcatLayer(const Shape& top, int axis) : rows_(Elements(top, 0, axis)), width_(Elements(top) / rows_) {
    AddTop(top);
  }

  bool has_gradient_of_bottom(size_t) const override { return true; }

  absl::Status Forward(const Pass& pass) override {
    pass.loop.Run(rows_, RowsPerPiece(width_), [&](int64_t begin, int64_t end, int64_t, int) {
      float* to = top(0).data;
      for (const Blob* blob : binding().bottoms) {
        const int64_t part = blob->elements() / rows_;
        if (blob->data != to) CopyRows({blob->data, part}, {to, width_}, begin, end, part);
        to += part;
      }
    });
    return absl::OkStatus();
  }

  void Backward(const Pass& pass) override {
    pass.loop.Run(rows_, RowsPerPiece(width_), [&](int64_t begin, int64_t end, int64_t, int) {
      float* from = top(0).diff;
      for (size_t i = 0; i < binding().bottoms.size(); ++i) {
        const int64_t part = bottom(i).elements() / rows_;
        if (binding().propagate_down[i] && bottom(i).diff != from)
          CopyRows({from, width_}, {bottom(i).diff, part}, begin, end, part);
        from += part;
      }
    });
  }

 private:
  const int64_t rows_;
  const int64_t width_;
};

absl::StatusOr<int> ReadAxis(const caffe::ConcatParameter& concat, const Shape& in) {
  if (!concat.has_concat_dim()) return CanonicalAxis(in, concat.axis());
  if (concat.has_axis())
    return absl::InvalidArgumentError("concat_param has axis and concat_dim, its old name; remove concat_dim");
  if (concat.concat_dim() >= in.size()) {
    return absl::InvalidArgumentError(absl::StrCat("concat_param.concat_dim ", concat.concat_dim(),
                                                   " is outside of shape ", ToString(in), "; write axis instead"));
  }
  return static_cast<int>(concat.concat_dim());
}

}  // namespace

LayerOr CreateConcatLayer(const LayerContext& context) {
  const caffe::ConcatParameter& concat = context.param.concat_param();
  SAMOVAR_RETURN_IF_ERROR(CheckFields(concat, "concat_param", {"axis", "concat_dim"}));
  SAMOVAR_ASSIGN_OR_RETURN(const int axis, ReadAxis(concat, context.bottoms[0]));
  const size_t at = static_cast<size_t>(axis);
  Shape top = context.bottoms[0];
  top[at] = 0;
  for (const Shape& shape : context.bottoms) {
    const bool as_long = shape.size() == top.size();
    Shape rest = shape;
    if (as_long) rest[at] = top[at];
    if (rest != top) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the bottoms have shapes ", ToString(context.bottoms[0]), " and ", ToString(shape),
          ", which may differ along axis ", axis, " only; set concat_param.axis, or check the layers that make them"));
    }
    top[at] += shape[at];
  }
  SAMOVAR_RETURN_IF_ERROR(CheckShape(top));
  return std::make_unique<ConcatLayer>(top, axis);
}

}  // namespace samovar
