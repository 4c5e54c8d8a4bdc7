// Pooling, MAX or AVE. out = ceil((in + 2 pad - kernel) / stride) + 1 (floor with round_mode FLOOR); with padding, one
// less if the last window would start beyond the image and its leading padding. A second top of MAX holds the maxima's
// places in their planes.
#include "worker/nn/layers/pooling_layer.h"

#include <bit>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/nn/kernels/channels_last.h"
#include "worker/nn/kernels/packet.h"
#include "worker/nn/kernels/pooling_kernel.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

constexpr int64_t kRecordsPerPiece = 4;
constexpr int64_t kValuesPerPiece = 32 << 10;

absl::Status ReadKernel(const caffe::PoolingParameter& pooling, Window* w) {
  SAMOVAR_RETURN_IF_ERROR(
      CheckHeightWidth("kernel", pooling.has_kernel_size(), pooling.has_kernel_h(), pooling.has_kernel_w()));
  SAMOVAR_RETURN_IF_ERROR(
      CheckHeightWidth("stride", pooling.has_stride(), pooling.has_stride_h(), pooling.has_stride_w()));
  SAMOVAR_RETURN_IF_ERROR(CheckHeightWidth("pad", pooling.has_pad(), pooling.has_pad_h(), pooling.has_pad_w()));
  w->stride_h = pooling.has_stride_h() ? pooling.stride_h() : pooling.stride();
  w->stride_w = pooling.has_stride_w() ? pooling.stride_w() : pooling.stride();
  w->pad_h = pooling.has_pad_h() ? pooling.pad_h() : pooling.pad();
  w->pad_w = pooling.has_pad_w() ? pooling.pad_w() : pooling.pad();
  if (pooling.global_pooling()) {
    if (pooling.has_kernel_size() || pooling.has_kernel_h()) {
      return absl::InvalidArgumentError("pooling_param.global_pooling takes the whole image; remove the kernel size");
    }
    if (w->pad_h != 0 || w->pad_w != 0 || w->stride_h != 1 || w->stride_w != 1) {
      return absl::InvalidArgumentError("pooling_param.global_pooling needs pad 0 and stride 1");
    }
    w->kernel_h = w->in_h;
    w->kernel_w = w->in_w;
    return absl::OkStatus();
  }
  w->kernel_h = pooling.has_kernel_h() ? pooling.kernel_h() : pooling.kernel_size();
  w->kernel_w = pooling.has_kernel_w() ? pooling.kernel_w() : pooling.kernel_size();
  if (w->kernel_h < 1 || w->kernel_w < 1) {
    return absl::InvalidArgumentError("pooling_param.kernel_size is missing or 0; give 1 or more");
  }
  if (w->stride_h < 1 || w->stride_w < 1) return absl::InvalidArgumentError("pooling_param.stride must be 1 or more");
  // So that a window's values can be counted.
  constexpr int64_t kMax = 1 << 24;
  for (int64_t value : {w->kernel_h, w->kernel_w, w->stride_h, w->stride_w}) {
    if (value <= kMax) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("pooling_param has kernel or stride ", value, "; give at most ", kMax));
  }
  if (w->pad_h >= w->kernel_h || w->pad_w >= w->kernel_w) {
    return absl::InvalidArgumentError(absl::StrCat("pooling_param.pad ", w->pad_h, "x", w->pad_w,
                                                   " must be smaller than the kernel ", w->kernel_h, "x", w->kernel_w));
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> OutputSize(int64_t in, int64_t kernel, int64_t stride, int64_t pad, bool any_pad, bool ceil) {
  const int64_t span = in + 2 * pad - kernel;
  // The division rounds a negative span up.
  const int64_t steps = ceil && span > 0 ? (span + stride - 1) / stride : span / stride;
  int64_t out = (!ceil && span < 0) ? 0 : steps + 1;
  if (any_pad && (out - 1) * stride >= in + pad) --out;
  if (out < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("pooling kernel ", kernel, " does not fit into the padded input of ", in + 2 * pad));
  }
  if ((out - 1) * stride - pad >= in) {
    return absl::InvalidArgumentError(absl::StrCat("pooling stride ", stride, " with kernel ", kernel,
                                                   " leaves a last window without input; give round_mode: FLOOR"));
  }
  return out;
}

}  // namespace

LayerOr CreatePoolingLayer(const LayerContext& context) {
  const caffe::PoolingParameter& pooling = context.param.pooling_param();
  SAMOVAR_RETURN_IF_ERROR(CheckFields(pooling, "pooling_param",
                                      {"pool", "kernel_size", "stride", "pad", "kernel_h", "kernel_w", "stride_h",
                                       "stride_w", "pad_h", "pad_w", "engine", "global_pooling", "round_mode"}));
  if (pooling.engine() == caffe::PoolingParameter::CUDNN) {
    return absl::UnimplementedError("pooling_param.engine CUDNN needs a GPU, which is not offered; remove the field");
  }
  if (pooling.pool() != caffe::PoolingParameter::MAX && pooling.pool() != caffe::PoolingParameter::AVE) {
    return absl::UnimplementedError("pooling_param.pool STOCHASTIC is not offered; there are MAX and AVE");
  }
  const bool max = pooling.pool() == caffe::PoolingParameter::MAX;
  if (!max && context.param.top_size() > 1)
    return absl::InvalidArgumentError("a second top needs pooling_param.pool MAX");
  const Shape& in = context.bottoms[0];
  if (in.size() != 4)
    return absl::InvalidArgumentError("pooling needs a bottom of 4 axes: records, channels, height, width");
  Window w;
  w.channels = in[1];
  w.in_h = in[2];
  w.in_w = in[3];
  SAMOVAR_RETURN_IF_ERROR(ReadKernel(pooling, &w));
  const bool any_pad = w.pad_h != 0 || w.pad_w != 0;
  const bool ceil = pooling.round_mode() == caffe::PoolingParameter::CEIL;
  SAMOVAR_ASSIGN_OR_RETURN(w.out_h, OutputSize(w.in_h, w.kernel_h, w.stride_h, w.pad_h, any_pad, ceil));
  SAMOVAR_ASSIGN_OR_RETURN(w.out_w, OutputSize(w.in_w, w.kernel_w, w.stride_w, w.pad_w, any_pad, ceil));
  return std::make_unique<PoolingLayer>(in[0], w, max, context.param.top_size());
}

PoolingLayer::PoolingLayer(int64_t batch_size, const Window& window, bool max, int tops)
    : window_(window), max_(max), packets_(PacketsFor(window.channels)), width_(packets_ * kPacketSize) {
  for (int i = 0; i < tops; ++i) AddTop({batch_size, window.channels, window.out_h, window.out_w});
}

absl::Status PoolingLayer::Allocate() {
  for (int thread = 0; thread < binding().threads; ++thread) {
    Workspace& space = *spaces_.emplace_back(std::make_unique<Workspace>());
    if (PlanePooling::Suits(window_)) SAMOVAR_RETURN_IF_ERROR(space.planes.Allocate(window_, max_));
    if (PlanePooling::Suits(window_) && max_) continue;
    SAMOVAR_RETURN_IF_ERROR(space.in.Allocate(window_.in_plane() * width_));
    SAMOVAR_RETURN_IF_ERROR(space.out.Allocate(window_.out_plane() * width_));
    if (max_) SAMOVAR_RETURN_IF_ERROR(space.at.Allocate(window_.out_plane() * width_));
  }
  const bool keeps_places = max_ && (binding().propagate_down[0] || binding().tops.size() > 1);
  return keeps_places ? at_.Allocate(top(0).elements()) : absl::OkStatus();
}

absl::Status PoolingLayer::Forward(const Pass& pass) {
  const int64_t records = bottom(0).records();
  if (PlanePooling::Suits(window_)) {
    const int64_t per_piece = std::max<int64_t>(1, kValuesPerPiece / window_.in_plane());
    pass.loop.Run(records * window_.channels, per_piece, [&](int64_t begin, int64_t end, int64_t, int thread) {
      ForwardPlanes(begin, end, &spaces_[static_cast<size_t>(thread)]->planes);
      WriteSecondTop(begin * window_.out_plane(), end * window_.out_plane());
    });
    return absl::OkStatus();
  }
  pass.loop.Run(records, kRecordsPerPiece, [&](int64_t begin, int64_t end, int64_t, int thread) {
    for (int64_t record = begin; record < end; ++record)
      ForwardTurned(record, spaces_[static_cast<size_t>(thread)].get());
    WriteSecondTop(begin * top_record(), end * top_record());
  });
  return absl::OkStatus();
}

void PoolingLayer::WriteSecondTop(int64_t begin, int64_t end) {
  if (binding().tops.size() == 1) return;
  for (int64_t i = begin; i < end; ++i) top(1).data[i] = static_cast<float>(std::bit_cast<int32_t>(at_.data()[i]));
}

void PoolingLayer::ForwardPlanes(int64_t begin, int64_t end, PlanePooling* planes) {
  for (int64_t plane = begin; plane < end; ++plane) {
    const float* const in = bottom(0).data + plane * window_.in_plane();
    const int64_t to = plane * window_.out_plane();
    max_ ? planes->Maximum(in, top(0).data + to, PlacesAt(to)) : planes->Average(in, top(0).data + to);
  }
}

void PoolingLayer::ForwardTurned(int64_t record, Workspace* space) {
  const int64_t to = record * top_record();
  Transpose(bottom(0).data + record * bottom_record(), window_.channels, window_.in_plane(), window_.in_plane(),
            space->in.data(), width_);
  if (max_) {
    float* const places = PlacesAt(to);
    MaxPoolForward(window_, packets_, PoolRelu::kNone, space->in.data(), space->out.data(),
                   places == nullptr ? nullptr : space->at.data());
    if (places != nullptr)
      Transpose(space->at.data(), window_.out_plane(), window_.channels, width_, places, window_.out_plane());
  } else {
    AveragePoolForward(window_, packets_, space->in.data(), space->out.data());
  }
  Transpose(space->out.data(), window_.out_plane(), window_.channels, width_, top(0).data + to, window_.out_plane());
}

void PoolingLayer::Backward(const Pass& pass) {
  pass.loop.Run(bottom(0).records(), kRecordsPerPiece, [&](int64_t begin, int64_t end, int64_t, int thread) {
    for (int64_t record = begin; record < end; ++record)
      BackwardRecord(record, spaces_[static_cast<size_t>(thread)].get());
  });
}

void PoolingLayer::BackwardRecord(int64_t record, Workspace* space) {
  const float* top_diff = top(0).diff + record * top_record();
  const float* at = at_.data() + record * top_record();
  float* bottom_diff = bottom(0).diff + record * bottom_record();
  if (max_) {
    for (int64_t c = 0; c < window_.channels; ++c) {
      MaxPoolBackward(window_, top_diff + c * window_.out_plane(), at + c * window_.out_plane(),
                      bottom_diff + c * window_.in_plane());
    }
    return;
  }
  Transpose(top_diff, window_.channels, window_.out_plane(), window_.out_plane(), space->out.data(), width_);
  AveragePoolBackward(window_, packets_, space->out.data(), space->in.data(), window_.in_w * width_);
  Transpose(space->in.data(), window_.in_plane(), window_.channels, width_, bottom_diff, window_.in_plane());
}

}  // namespace samovar
