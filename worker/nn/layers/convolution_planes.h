// PlanesConvolution computes a convolution on the planes of images as they lie in memory (planes_kernel.h): kernels of
// one place, and groups of few channels, depthwise ones above all. There, turning an image to have its channels last
// takes longer than the sums, or most lanes of the sums would be empty.
//
// Thread safety: one thread at a time for each `thread`, its number; Pack functions alone.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "worker/nn/kernels/depthwise_kernel.h"
#include "worker/nn/kernels/planes_plan.h"
#include "worker/nn/kernels/scratch.h"

namespace samovar {

class PlanesConvolution {
 public:
  // Whether this is the faster way: a rule of the shape and the build alone. window: that of one group.
  static bool Suits(const Window& window, int64_t outputs, int64_t groups);

  PlanesConvolution(const Window& window, int64_t outputs, int64_t groups);

  void Allocate(int threads, bool wants_weights, bool wants_data, Scratch* scratch, Scratch* packed);
  // Before a pass.
  void ClearFrames(bool backward);

  // weights: of all groups, [groups * outputs, channels, kernel_h, kernel_w].
  void PackForForward(const float* weights);
  void PackForBackward(const float* weights);

  // in, out: the group's planes of one image. bias: the group's, or null.
  void Forward(int64_t group, const float* in, const float* bias, int thread, float* out);

  // The gradients of a group over images: Begin, Backward for each image, and End. `gradient` is that of the weights,
  // added to; null: not wanted. in_diff: of the group's planes, written; null: not wanted.
  void BeginGradient(int thread);
  void Backward(int64_t group, const float* in, const float* diff, int thread, float* gradient, float* in_diff);
  void EndGradient(int thread, float* gradient);
  // Floats of a group's gradient, and the same in the order of the weights.
  int64_t gradient_elements() const;
  void UnpackGradient(const float* gradient, float* weights) const;

 private:
  struct Workspace {
    // One image and group: see PlanesPlan.
    ScratchBuffer frame, out, diff, in_diff;
    // Packets of lanes, by output and term; or, of a single place, the output's gradient with channels last.
    ScratchBuffer sums, turned;
  };

  int64_t group_weights() const { return plan_.outputs * plan_.terms(); }
  int64_t width() const;
  const float* InFrame(const float* in, Workspace* space) const;
  void AddWeightGradient(const float* in, const float* diff, Workspace* space, float* gradient) const;
  void DataGradient(int64_t group, const float* diff, Workspace* space, float* in_diff) const;

  const PlanesPlan plan_;
  const int64_t groups_;
  // For groups that are one plane each, if the kernel allows it: they need no frames.
  std::optional<DepthwisePlan> depthwise_;
  std::vector<std::unique_ptr<Workspace>> spaces_;
  ScratchBuffer packed_, packed_backward_;
};

}  // namespace samovar
