// Reshape: num_axes axes of the bottom from `axis` on (-1: all from there) give way to `shape`, in which 0 is the
// bottom's own size at that place, and one -1 takes the rest. A negative axis counts from behind the last: -1 adds axes
// at the end.
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/copy_layer.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

// The bottom's axes [begin, end) are replaced.
struct Replaced {
  int begin;
  int end;
};

absl::StatusOr<Replaced> ReadReplaced(const caffe::ReshapeParameter& reshape, const Shape& in) {
  const int64_t axes = static_cast<int64_t>(in.size());
  const int64_t begin = reshape.axis() >= 0 ? reshape.axis() : axes + reshape.axis() + 1;
  if (begin < 0 || begin > axes) {
    return absl::InvalidArgumentError(
        absl::StrCat("reshape_param.axis ", reshape.axis(), " is outside of shape ", ToString(in)));
  }
  const int64_t end = reshape.num_axes() == -1 ? axes : begin + reshape.num_axes();
  if (end < begin || end > axes) {
    return absl::InvalidArgumentError(absl::StrCat("reshape_param.num_axes is ", reshape.num_axes(), ", but ",
                                                   axes - begin, " axes are left from axis ", begin,
                                                   " on; give -1 for all of them"));
  }
  return Replaced{static_cast<int>(begin), static_cast<int>(end)};
}

// The shape's own dimensions, 0 replaced by the bottom's size; the place of -1 holds 1 and is returned, -1 if there is
// none.
absl::StatusOr<int> ReadDimensions(const caffe::BlobShape& given, const Shape& in, int begin, Shape* dimensions) {
  int inferred = -1;
  for (int i = 0; i < given.dim_size(); ++i) {
    const int64_t dim = given.dim(i);
    if (dim < -1)
      return absl::InvalidArgumentError(absl::StrCat("reshape_param.shape has dim ", dim, "; give 1 or more, 0 or -1"));
    if (dim == -1) {
      if (inferred >= 0)
        return absl::InvalidArgumentError("reshape_param.shape has two dims of -1; give one of them a number");
      inferred = i;
    }
    const size_t own = static_cast<size_t>(begin + i);
    if (dim == 0 && own >= in.size()) {
      return absl::InvalidArgumentError(absl::StrCat("reshape_param.shape has a dim 0 at place ", i,
                                                     ", but the bottom has no axis ", own, " to copy; give a number"));
    }
    dimensions->push_back(dim == 0 ? in[own] : dim == -1 ? 1 : dim);
  }
  return inferred;
}

}  // namespace

LayerOr CreateReshapeLayer(const LayerContext& context) {
  const caffe::ReshapeParameter& reshape = context.param.reshape_param();
  SAMOVAR_RETURN_IF_ERROR(CheckFields(reshape, "reshape_param", {"shape", "axis", "num_axes"}));
  const Shape& in = context.bottoms[0];
  SAMOVAR_ASSIGN_OR_RETURN(const Replaced replaced, ReadReplaced(reshape, in));
  Shape top(in.begin(), in.begin() + replaced.begin);
  SAMOVAR_ASSIGN_OR_RETURN(const int inferred, ReadDimensions(reshape.shape(), in, replaced.begin, &top));
  top.insert(top.end(), in.begin() + replaced.end, in.end());
  SAMOVAR_RETURN_IF_ERROR(Annotate(CheckShape(top), "reshape_param.shape"));
  const int64_t values = Elements(in);
  const int64_t given = Elements(top);
  if (inferred >= 0 && values % given != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("reshape_param.shape has a dim -1 beside dims (and axes that are kept) of product ", given,
                     ", which does not divide the bottom's ", values, " values; change them"));
  }
  if (inferred >= 0) top[static_cast<size_t>(replaced.begin + inferred)] = values / given;
  if (Elements(top) != values) {
    return absl::InvalidArgumentError(absl::StrCat("reshape_param.shape makes ", given, " values of the bottom's ",
                                                   values, "; change its dims, or write -1 for one of them"));
  }
  return std::make_unique<CopyLayer>(std::move(top));
}

}  // namespace samovar
