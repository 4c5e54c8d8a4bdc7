// The fields of convolution_param that Convolution and Deconvolution read alike.
#pragma once

#include "absl/status/status.h"
#include "caffe.pb.h"
#include "worker/nn/kernels/window.h"
#include "worker/nn/shape.h"

namespace samovar {

// Checks the fields that are offered, num_output, and group, which must divide num_output and the bottom's channels;
// the bottom must have 4 axes.
absl::Status CheckConvolution(const caffe::ConvolutionParameter& conv, const Shape& bottom);

// Kernel, stride, pad and dilation, each from its plain field or from _h and _w.
absl::Status ReadWindow(const caffe::ConvolutionParameter& conv, Window* window);

}  // namespace samovar
