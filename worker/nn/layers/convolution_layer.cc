// Convolution: for each group g, top[n, o, oh, ow] = bias[o] + sum over c, kh, kw of weights[o, c, kh, kw] * bottom[n,
// g * C/G + c, oh * stride - pad + kh * dilation, ...]. out = floor((in + 2 pad - (dilation (kernel - 1) + 1)) /
// stride) + 1. Weights [num_output, C / group, kernel_h, kernel_w], bias [num_output].
#include "worker/nn/layers/convolution_layer.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/nn/kernels/strided_planes.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/convolution_fields.h"

namespace samovar {
namespace {

absl::StatusOr<int64_t> OutputSize(int64_t in, int64_t kernel, int64_t dilation, int64_t stride, int64_t pad) {
  const int64_t extent = dilation * (kernel - 1) + 1;
  if (extent > in + 2 * pad) {
    return absl::InvalidArgumentError(
        absl::StrCat("convolution kernel of extent ", extent, " is larger than the padded input of ", in + 2 * pad));
  }
  return (in + 2 * pad - extent) / stride + 1;
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
    : written_(window),
      window_(SkipsPlaces(window) ? WithoutSkips(window) : window),
      groups_(param.convolution_param().group()),
      has_bias_(param.convolution_param().bias_term()),
      plan_(WindowOfGroup(window_, groups_), param.convolution_param().num_output() / groups_) {
  const caffe::ConvolutionParameter& conv = param.convolution_param();
  const int64_t outputs = conv.num_output();
  AddTop({batch_size, outputs, window_.out_h, window_.out_w});
  AddParameter(param.name(), {outputs, plan_.window.channels, window_.kernel_h, window_.kernel_w},
               conv.weight_filler());
  if (has_bias_) AddParameter(param.name(), {outputs}, conv.bias_filler());
}

}  // namespace samovar
