#include "worker/nn/layers/convolution_fields.h"

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

// A value of a repeated field of up to two entries: height, width.
absl::Status ReadPair(const google::protobuf::RepeatedField<uint32_t>& field, absl::string_view name, int64_t absent,
                      int64_t* height, int64_t* width) {
  if (field.size() > 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("convolution_param.", name, " has ", field.size(), " entries; give one, or height and width"));
  }
  *height = field.empty() ? absent : field.Get(0);
  *width = field.empty() ? absent : field.Get(field.size() - 1);
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckConvolution(const caffe::ConvolutionParameter& conv, const Shape& in) {
  SAMOVAR_RETURN_IF_ERROR(CheckFields(
      conv, "convolution_param",
      {"num_output", "bias_term", "pad", "kernel_size", "group", "stride", "weight_filler", "bias_filler", "pad_h",
       "pad_w", "kernel_h", "kernel_w", "stride_h", "stride_w", "engine", "axis", "force_nd_im2col", "dilation"}));
  if (conv.engine() == caffe::ConvolutionParameter::CUDNN) {
    return absl::UnimplementedError(
        "convolution_param.engine CUDNN needs a GPU, which is not offered; remove the field");
  }
  if (conv.axis() != 1 && conv.axis() != -3) {
    return absl::UnimplementedError(
        absl::StrCat("convolution_param.axis ", conv.axis(), " is not offered; remove it or give 1"));
  }
  if (in.size() != 4) {
    return absl::UnimplementedError("convolution is offered for a bottom of 4 axes: records, channels, height, width");
  }
  if (conv.num_output() < 1)
    return absl::InvalidArgumentError("convolution_param.num_output is missing or 0; give 1 or more");
  if (conv.group() < 1 || in[1] % conv.group() != 0 || conv.num_output() % conv.group() != 0) {
    return absl::InvalidArgumentError(absl::StrCat("convolution_param.group ", conv.group(), " must divide the ", in[1],
                                                   " input channels and num_output ", conv.num_output()));
  }
  return absl::OkStatus();
}

absl::Status ReadWindow(const caffe::ConvolutionParameter& conv, Window* w) {
  SAMOVAR_RETURN_IF_ERROR(
      CheckHeightWidth("kernel", conv.kernel_size_size() > 0, conv.has_kernel_h(), conv.has_kernel_w()));
  SAMOVAR_RETURN_IF_ERROR(CheckHeightWidth("stride", conv.stride_size() > 0, conv.has_stride_h(), conv.has_stride_w()));
  SAMOVAR_RETURN_IF_ERROR(CheckHeightWidth("pad", conv.pad_size() > 0, conv.has_pad_h(), conv.has_pad_w()));
  SAMOVAR_RETURN_IF_ERROR(ReadPair(conv.kernel_size(), "kernel_size", 0, &w->kernel_h, &w->kernel_w));
  SAMOVAR_RETURN_IF_ERROR(ReadPair(conv.stride(), "stride", 1, &w->stride_h, &w->stride_w));
  SAMOVAR_RETURN_IF_ERROR(ReadPair(conv.pad(), "pad", 0, &w->pad_h, &w->pad_w));
  SAMOVAR_RETURN_IF_ERROR(ReadPair(conv.dilation(), "dilation", 1, &w->dilation_h, &w->dilation_w));
  if (conv.has_kernel_h()) {
    w->kernel_h = conv.kernel_h();
    w->kernel_w = conv.kernel_w();
  }
  if (conv.has_stride_h()) {
    w->stride_h = conv.stride_h();
    w->stride_w = conv.stride_w();
  }
  if (conv.has_pad_h()) {
    w->pad_h = conv.pad_h();
    w->pad_w = conv.pad_w();
  }
  if (w->kernel_h < 1 || w->kernel_w < 1) {
    return absl::InvalidArgumentError("convolution_param.kernel_size is missing or 0; give 1 or more");
  }
  if (w->stride_h < 1 || w->stride_w < 1)
    return absl::InvalidArgumentError("convolution_param.stride must be 1 or more");
  if (w->dilation_h < 1 || w->dilation_w < 1)
    return absl::InvalidArgumentError("convolution_param.dilation must be 1 or more");
  // So that extents, and sizes made of them, can be computed at all.
  constexpr int64_t kMax = 1 << 24;
  for (int64_t value :
       {w->kernel_h, w->kernel_w, w->stride_h, w->stride_w, w->pad_h, w->pad_w, w->dilation_h, w->dilation_w}) {
    if (value <= kMax) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("convolution_param has kernel, stride, pad or dilation ", value, "; give at most ", kMax));
  }
  return absl::OkStatus();
}

}  // namespace samovar
