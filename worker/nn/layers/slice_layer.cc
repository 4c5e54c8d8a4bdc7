// Slice: the bottom cut along an axis, at slice_point (where each top but the first begins) or in equal parts. The
// bottom's gradient is the tops' side by side; 0 for a top on which no loss depends.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/nn/kernels/rows.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

class SliceLayer : public Layer {
 public:
  SliceLayer(const Shape& in, int axis, const std::vector<int64_t>& lengths)
      : rows_(Elements(in, 0, axis)), width_(Elements(in) / rows_) {
    for (int64_t length : lengths) {
      Shape shape = in;
      shape[static_cast<size_t>(axis)] = length;
      AddTop(std::move(shape));
    }
  }

  bool has_gradient_through_top(size_t) const override { return true; }

  absl::Status Forward(const Pass& pass) override {
    pass.loop.Run(rows_, RowsPerPiece(width_), [&](int64_t begin, int64_t end, int64_t, int) {
      float* from = bottom(0).data;
      for (const Blob* blob : binding().tops) {
        const int64_t part = blob->elements() / rows_;
        CopyRows({from, width_}, {blob->data, part}, begin, end, part);
        from += part;
      }
    });
    return absl::OkStatus();
  }

  void Backward(const Pass& pass) override {
    pass.loop.Run(rows_, RowsPerPiece(width_), [&](int64_t begin, int64_t end, int64_t, int) {
      float* to = bottom(0).diff;
      for (const Blob* blob : binding().tops) {
        const int64_t part = blob->elements() / rows_;
        if (blob->diff != nullptr) {
          CopyRows({blob->diff, part}, {to, width_}, begin, end, part);
        } else {
          for (int64_t row = begin; row < end; ++row) std::fill_n(to + row * width_, part, 0.0f);
        }
        to += part;
      }
    });
  }

 private:
  const int64_t rows_;
  const int64_t width_;
};

absl::StatusOr<int> ReadAxis(const caffe::SliceParameter& slice, const Shape& in) {
  if (!slice.has_slice_dim()) return CanonicalAxis(in, slice.axis());
  if (slice.has_axis())
    return absl::InvalidArgumentError("slice_param has axis and slice_dim, its old name; remove slice_dim");
  if (slice.slice_dim() >= in.size()) {
    return absl::InvalidArgumentError(absl::StrCat("slice_param.slice_dim ", slice.slice_dim(), " is outside of shape ",
                                                   ToString(in), "; write axis instead"));
  }
  return static_cast<int>(slice.slice_dim());
}

// Lengths of the tops along an axis that is `length` long.
absl::StatusOr<std::vector<int64_t>> ReadLengths(const caffe::SliceParameter& slice, int tops, int64_t length) {
  if (slice.slice_point_size() == 0) {
    if (length % tops != 0) {
      return absl::InvalidArgumentError(absl::StrCat("an axis of ", length, " cannot be cut into ", tops,
                                                     " equal parts; give slice_param.slice_point"));
    }
    return std::vector<int64_t>(static_cast<size_t>(tops), length / tops);
  }
  if (slice.slice_point_size() != tops - 1) {
    return absl::InvalidArgumentError(absl::StrCat("slice_param.slice_point has ", slice.slice_point_size(),
                                                   " entries for ", tops,
                                                   " tops; give one less than there are tops, or none"));
  }
  std::vector<int64_t> lengths;
  int64_t begin = 0;
  for (int64_t point : slice.slice_point()) {
    if (point <= begin || point >= length) {
      return absl::InvalidArgumentError(absl::StrCat("slice_param.slice_point ", point, " follows ", begin,
                                                     " on an axis of ", length, "; give rising numbers from 1 to ",
                                                     length - 1));
    }
    lengths.push_back(point - begin);
    begin = point;
  }
  lengths.push_back(length - begin);
  return lengths;
}

}  // namespace

LayerOr CreateSliceLayer(const LayerContext& context) {
  const caffe::SliceParameter& slice = context.param.slice_param();
  SAMOVAR_RETURN_IF_ERROR(CheckFields(slice, "slice_param", {"axis", "slice_dim", "slice_point"}));
  const Shape& in = context.bottoms[0];
  SAMOVAR_ASSIGN_OR_RETURN(const int axis, ReadAxis(slice, in));
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<int64_t> lengths,
                           ReadLengths(slice, context.param.top_size(), in[static_cast<size_t>(axis)]));
  return std::make_unique<SliceLayer>(in, axis, lengths);
}

}  // namespace samovar
