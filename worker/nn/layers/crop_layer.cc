// Crop: of the first bottom the part that has the second's size along the axes from `axis` on and begins at `offset`
// (one number for all of them, or one each; none: 0). The second bottom gives its shape only.
//   dx = dy within the part, 0 outside; the second bottom's gradient is 0
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

class CropLayer : public Layer {
 public:
  CropLayer(const Shape& in, const Shape& top, const Shape& offsets)
      : in_(in), offsets_(offsets), width_(top.empty() ? 1 : top.back()) {
    AddTop(top);
  }

  bool has_gradient_of_bottom(size_t) const override { return true; }

  absl::Status Forward(const Pass& pass) override {
    ForEachRow(pass, [this](int64_t row, int64_t place) {
      std::copy_n(bottom(0).data + place, width_, top(0).data + row * width_);
    });
    return absl::OkStatus();
  }

  void Backward(const Pass& pass) override {
    if (binding().propagate_down[1]) std::fill_n(bottom(1).diff, bottom(1).elements(), 0.0f);
    if (!binding().propagate_down[0]) return;
    std::fill_n(bottom(0).diff, bottom(0).elements(), 0.0f);
    ForEachRow(pass, [this](int64_t row, int64_t place) {
      std::copy_n(top(0).diff + row * width_, width_, bottom(0).diff + place);
    });
  }

 private:
  // body(row of the top, place of its first value in the bottom) for each run along the last axis.
  template <typename Body>
  void ForEachRow(const Pass& pass, Body body) {
    constexpr int64_t kRowsPerPiece = 256;
    pass.loop.Run(top(0).elements() / width_, kRowsPerPiece, [&](int64_t begin, int64_t end, int64_t, int) {
      for (int64_t row = begin; row < end; ++row) body(row, PlaceOf(row));
    });
  }

  int64_t PlaceOf(int64_t row) const {
    int64_t place = 0;
    int64_t stride = 1;
    int64_t rest = row * width_;
    for (size_t axis = in_.size(); axis-- > 0;) {
      const int64_t length = top(0).shape[axis];
      place += (rest % length + offsets_[axis]) * stride;
      rest /= length;
      stride *= in_[axis];
    }
    return place;
  }

  const Shape in_;
  // One an axis.
  const Shape offsets_;
  const int64_t width_;
};

}  // namespace

LayerOr CreateCropLayer(const LayerContext& context) {
  const caffe::CropParameter& crop = context.param.crop_param();
  SAMOVAR_RETURN_IF_ERROR(CheckFields(crop, "crop_param", {"axis", "offset"}));
  const Shape& in = context.bottoms[0];
  const Shape& like = context.bottoms[1];
  SAMOVAR_ASSIGN_OR_RETURN(const int first, CanonicalAxis(in, crop.axis()));
  if (like.size() != in.size()) {
    return absl::InvalidArgumentError(absl::StrCat("the second bottom has ", like.size(),
                                                   " axes, but must have the first's ", in.size(),
                                                   "; add a Reshape layer"));
  }
  const int cropped = static_cast<int>(in.size()) - first;
  if (crop.offset_size() > 1 && crop.offset_size() != cropped) {
    return absl::InvalidArgumentError(absl::StrCat("crop_param.offset has ", crop.offset_size(), " entries for the ",
                                                   cropped, " axes from axis ", first,
                                                   " on; give one each, one for all, or none"));
  }
  Shape top = in;
  Shape offsets(in.size(), 0);
  for (int i = 0; i < cropped; ++i) {
    const size_t axis = static_cast<size_t>(first + i);
    if (crop.offset_size() > 0) offsets[axis] = crop.offset(crop.offset_size() == 1 ? 0 : i);
    top[axis] = like[axis];
    if (offsets[axis] + top[axis] > in[axis]) {
      return absl::InvalidArgumentError(absl::StrCat("crop_param.offset ", offsets[axis], " and the second bottom's ",
                                                     top[axis], " along axis ", axis, " reach beyond the first's ",
                                                     in[axis], "; lower the offset, or exchange the bottoms"));
    }
  }
  return std::make_unique<CropLayer>(in, top, offsets);
}

}  // namespace samovar
