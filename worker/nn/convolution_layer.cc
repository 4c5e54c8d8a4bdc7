// Convolution: for each group g, top[n, o, oh, ow] = bias[o] + sum over c, kh, kw of weights[o, c, kh, kw] *
// bottom[n, g * C/G + c, oh * stride - pad + kh * dilation, ...]. out = floor((in + 2 pad - (dilation (kernel - 1) + 1)) / stride) + 1.
// Weights [num_output, C / group, kernel_h, kernel_w], bias [num_output].
#include "worker/nn/convolution_layer.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layer_fields.h"

namespace samovar {
namespace {

// A value of a repeated field of up to two entries: height, width.
absl::Status ReadPair(const google::protobuf::RepeatedField<uint32_t>& field, absl::string_view name, int64_t absent, int64_t* height,
                      int64_t* width) {
  if (field.size() > 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("convolution_param.", name, " has ", field.size(), " entries; give one, or height and width"));
  }
  *height = field.empty() ? absent : field.Get(0);
  *width = field.empty() ? absent : field.Get(field.size() - 1);
  return absl::OkStatus();
}

absl::Status ReadWindow(const caffe::ConvolutionParameter& conv, Window* w) {
  SAMOVAR_RETURN_IF_ERROR(CheckHeightWidth("kernel", conv.kernel_size_size() > 0, conv.has_kernel_h(), conv.has_kernel_w()));
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
  if (w->stride_h < 1 || w->stride_w < 1) return absl::InvalidArgumentError("convolution_param.stride must be 1 or more");
  if (w->dilation_h < 1 || w->dilation_w < 1) return absl::InvalidArgumentError("convolution_param.dilation must be 1 or more");
  return absl::OkStatus();
}

absl::StatusOr<int64_t> OutputSize(int64_t in, int64_t kernel, int64_t dilation, int64_t stride, int64_t pad) {
  const int64_t extent = dilation * (kernel - 1) + 1;
  if (extent > in + 2 * pad) {
    return absl::InvalidArgumentError(
        absl::StrCat("convolution kernel of extent ", extent, " is larger than the padded input of ", in + 2 * pad));
  }
  return (in + 2 * pad - extent) / stride + 1;
}

absl::Status CheckConvolution(const caffe::ConvolutionParameter& conv, const Shape& in) {
  SAMOVAR_RETURN_IF_ERROR(
      CheckFields(conv, "convolution_param",
                  {"num_output", "bias_term", "pad", "kernel_size", "group", "stride", "weight_filler", "bias_filler", "pad_h",
                   "pad_w", "kernel_h", "kernel_w", "stride_h", "stride_w", "engine", "axis", "force_nd_im2col", "dilation"}));
  if (conv.engine() == caffe::ConvolutionParameter::CUDNN) {
    return absl::UnimplementedError("convolution_param.engine CUDNN needs a GPU, which is not offered; remove the field");
  }
  if (conv.axis() != 1 && conv.axis() != -3) {
    return absl::UnimplementedError(absl::StrCat("convolution_param.axis ", conv.axis(), " is not offered; remove it or give 1"));
  }
  if (in.size() != 4) {
    return absl::UnimplementedError("convolution is offered for a bottom of 4 axes: records, channels, height, width");
  }
  if (conv.num_output() < 1) return absl::InvalidArgumentError("convolution_param.num_output is missing or 0; give 1 or more");
  if (conv.group() < 1 || in[1] % conv.group() != 0 || conv.num_output() % conv.group() != 0) {
    return absl::InvalidArgumentError(absl::StrCat("convolution_param.group ", conv.group(), " must divide the ", in[1],
                                                   " input channels and num_output ", conv.num_output()));
  }
  return absl::OkStatus();
}

}  // namespace

LayerOr CreateConvolutionLayer(const LayerContext& context) {
  const caffe::ConvolutionParameter& conv = context.param.convolution_param();
  const Shape& in = context.bottoms[0];
  SAMOVAR_RETURN_IF_ERROR(CheckConvolution(conv, in));
  Window w;
  w.channels = in[1];
  w.in_h = in[2];
  w.in_w = in[3];
  SAMOVAR_RETURN_IF_ERROR(ReadWindow(conv, &w));
  SAMOVAR_ASSIGN_OR_RETURN(w.out_h, OutputSize(w.in_h, w.kernel_h, w.dilation_h, w.stride_h, w.pad_h));
  SAMOVAR_ASSIGN_OR_RETURN(w.out_w, OutputSize(w.in_w, w.kernel_w, w.dilation_w, w.stride_w, w.pad_w));
  SAMOVAR_RETURN_IF_ERROR(CheckShape({w.channels, w.kernel_h, w.kernel_w, w.out_h, w.out_w}));
  return std::make_unique<ConvolutionLayer>(context.param, in[0], w);
}

namespace {

Window WindowOfGroup(Window window, int64_t groups) {
  window.channels /= groups;
  return window;
}

}  // namespace

ConvolutionLayer::ConvolutionLayer(const caffe::LayerParameter& param, int64_t batch_size, const Window& window)
    : window_(window),
      groups_(param.convolution_param().group()),
      has_bias_(param.convolution_param().bias_term()),
      plan_(WindowOfGroup(window, groups_), param.convolution_param().num_output() / groups_) {
  const caffe::ConvolutionParameter& conv = param.convolution_param();
  const int64_t outputs = conv.num_output();
  AddTop({batch_size, outputs, window_.out_h, window_.out_w});
  AddParameter(param.name(), {outputs, plan_.window.channels, window_.kernel_h, window_.kernel_w}, conv.weight_filler());
  if (has_bias_) AddParameter(param.name(), {outputs}, conv.bias_filler());
}

}  // namespace samovar
