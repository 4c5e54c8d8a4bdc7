#include "worker/nn/layers/convolution_planes.h"

#include <algorithm>

#include "worker/nn/kernels/channels_last.h"
#include "worker/nn/kernels/convolution_kernel.h"
#include "worker/nn/kernels/packet.h"
#include "worker/nn/kernels/planes_kernel.h"

namespace samovar {

bool PlanesConvolution::Suits(const Window& window, int64_t outputs, int64_t groups) {
  if (window.taps() == 1) {
    // Planes that are no whole packets are computed in part twice, and read across cache lines: it has to be a small
    // part, and packets of half a cache line have no time for it.
    const int64_t places = window.out_plane();
    return places % kPacketSize == 0 || (kPacketSize == 16 && places >= 12 * kPacketSize);
  }
  constexpr int64_t kMostChannels = 8;
  return groups > 1 && outputs <= kMostChannels && window.channels <= kMostChannels;
}

PlanesConvolution::PlanesConvolution(const Window& window, int64_t outputs, int64_t groups)
    : plan_(window, outputs), groups_(groups) {
  if (outputs == 1 && DepthwisePlan::Suits(window)) depthwise_.emplace(window);
}

// Floats of one row of a flat gradient, as in convolution_kernel.h.
int64_t PlanesConvolution::width() const { return RoundUpToPackets(plan_.outputs); }

int64_t PlanesConvolution::gradient_elements() const {
  return plan_.flat() ? plan_.window.channels * width() : group_weights();
}

void PlanesConvolution::Allocate(int threads, bool wants_weights, bool wants_data, Scratch* scratch, Scratch* packed) {
  packed_.Take(packed, groups_ * group_weights());
  if (wants_data) packed_backward_.Take(scratch, groups_ * group_weights());
  for (int thread = 0; thread < threads; ++thread) {
    Workspace* const space = spaces_.emplace_back(std::make_unique<Workspace>()).get();
    if (wants_weights && !plan_.flat()) space->sums.Take(scratch, group_weights() * kPacketSize);
    if (depthwise_) continue;
    if (!plan_.in_place()) space->frame.Take(scratch, plan_.frame_elements());
    if (!plan_.flat()) space->out.Take(scratch, plan_.output_elements());
    if (!plan_.flat() && (wants_weights || wants_data)) space->diff.Take(scratch, plan_.diff_elements());
    if (wants_data && !plan_.in_place()) space->in_diff.Take(scratch, plan_.frame_elements());
    if (wants_weights && plan_.flat()) space->turned.Take(scratch, plan_.out_plane * width());
  }
}

void PlanesConvolution::ClearFrames(bool backward) {
  for (auto& space : spaces_) {
    space->frame.Clear();
    if (backward) space->diff.Clear();
  }
}

void PlanesConvolution::PackForForward(const float* weights) {
  for (int64_t g = 0; g < groups_; ++g) {
    PackPlaneWeights(plan_.outputs, plan_.terms(), weights + g * group_weights(), plan_.terms(), plan_.weights.data(),
                     packed_.data() + g * group_weights());
  }
}

void PlanesConvolution::PackForBackward(const float* weights) {
  float* to = packed_backward_.data();
  for (int64_t g = 0; g < groups_; ++g) {
    for (const PlanesPlan::Phase& phase : plan_.phases) {
      const auto terms = static_cast<int64_t>(phase.weights.size());
      PackPlaneWeights(plan_.window.channels, terms, weights + g * group_weights(), plan_.window.taps(),
                       phase.weights.data(), to);
      to += plan_.window.channels * terms;
    }
  }
}

const float* PlanesConvolution::InFrame(const float* in, Workspace* space) const {
  if (plan_.in_place()) return in;
  FillFrame(plan_, in, space->frame.data());
  return space->frame.data();
}

void PlanesConvolution::Forward(int64_t group, const float* in, const float* bias, int thread, float* out) {
  Workspace* const space = spaces_[static_cast<size_t>(thread)].get();
  if (depthwise_) {
    const float* const weights = packed_.data() + group * group_weights();
    return CorrelatePlane(*depthwise_, in, weights, /*flipped=*/false, bias == nullptr ? 0 : *bias, out);
  }
  PlanesProduct product;
  product.in = InFrame(in, space);
  product.offsets = plan_.offsets.data();
  product.terms = plan_.terms();
  product.weights = packed_.data() + group * group_weights();
  product.bias = bias;
  product.rows = plan_.outputs;
  product.count = plan_.out_plane;
  product.out = plan_.flat() ? out : space->out.data();
  product.out_stride = plan_.out_plane;
  RunPlanes(product);
  if (!plan_.flat()) EmptyOutput(plan_, space->out.data(), out);
}

void PlanesConvolution::BeginGradient(int thread) {
  const ScratchBuffer& sums = spaces_[static_cast<size_t>(thread)]->sums;
  std::fill_n(sums.data(), sums.size(), 0.0f);
}

void PlanesConvolution::Backward(int64_t group, const float* in, const float* diff, int thread, float* gradient,
                                 float* in_diff) {
  Workspace* const space = spaces_[static_cast<size_t>(thread)].get();
  if (depthwise_) {
    if (gradient != nullptr) AddPlaneDots(*depthwise_, in, diff, space->sums.data());
    const float* const weights = packed_backward_.data() + group * group_weights();
    if (in_diff != nullptr) CorrelatePlane(*depthwise_, diff, weights, /*flipped=*/true, 0, in_diff);
    return;
  }
  if (!plan_.flat()) {
    FillDiff(plan_, diff, space->diff.data());
    diff = space->diff.data() + plan_.diff_origin();
  }
  if (gradient != nullptr) AddWeightGradient(in, diff, space, gradient);
  if (in_diff != nullptr) DataGradient(group, diff, space, in_diff);
}

void PlanesConvolution::AddWeightGradient(const float* in, const float* diff, Workspace* space, float* gradient) const {
  const float* const frame = InFrame(in, space);
  if (plan_.flat()) {
    // The sums run over places, which then must be the slowest index of one factor.
    Transpose(diff, plan_.outputs, plan_.out_plane, plan_.out_plane, space->turned.data(), width());
    return AddWeightGradientOfPlanes(plan_.window, plan_.outputs, frame, space->turned.data(), gradient);
  }
  AddPlanesDots({.diff = diff,
                 .diff_stride = plan_.diff_plane,
                 .rows = plan_.outputs,
                 .in = frame,
                 .offsets = plan_.offsets.data(),
                 .terms = plan_.terms(),
                 .count = plan_.out_plane,
                 .sums = space->sums.data()});
}

void PlanesConvolution::EndGradient(int thread, float* gradient) {
  if (plan_.flat()) return;
  const float* sums = spaces_[static_cast<size_t>(thread)]->sums.data();
  for (int64_t o = 0; o < plan_.outputs; ++o) {
    AddLanes(sums + o * plan_.terms() * kPacketSize, plan_.terms(), plan_.weights.data(), gradient + o * plan_.terms());
  }
}

void PlanesConvolution::UnpackGradient(const float* gradient, float* weights) const {
  if (plan_.flat()) return Transpose(gradient, plan_.window.channels, plan_.outputs, width(), weights, plan_.terms());
  std::copy_n(gradient, group_weights(), weights);
}

void PlanesConvolution::DataGradient(int64_t group, const float* diff, Workspace* space, float* in_diff) const {
  PlanesProduct product;
  product.in = diff;
  product.weights = packed_backward_.data() + group * group_weights();
  product.rows = plan_.window.channels;
  product.count = plan_.plane;
  product.out = plan_.in_place() ? in_diff : space->in_diff.data();
  product.out_stride = plan_.plane;
  for (const PlanesPlan::Phase& phase : plan_.phases) {
    product.offsets = phase.offsets.data();
    product.terms = static_cast<int64_t>(phase.offsets.size());
    RunPlanes(product);
    product.weights += product.rows * product.terms;
    product.out += product.rows * plan_.plane;
  }
  if (!plan_.in_place()) EmptyFrame(plan_, space->in_diff.data(), in_diff);
}

}  // namespace samovar
