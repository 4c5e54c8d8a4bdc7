// PoolingLayer takes the maximum or the mean of windows (pooling_layer.cc has the geometry).
//
// Small windows are taken of planes as they are (plane_pooling.h). For others records are turned to have their channels
// last, so that the loops of pooling_kernel.h run over channels.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "worker/nn/kernels/buffer.h"
#include "worker/nn/kernels/plane_pooling.h"
#include "worker/nn/kernels/window.h"
#include "worker/nn/layer.h"

namespace samovar {

class PoolingLayer : public Layer {
 public:
  PoolingLayer(int64_t batch_size, const Window& window, bool max, int tops);

  const Window& window() const { return window_; }
  bool max() const { return max_; }

  absl::Status Forward(const Pass& pass) override;
  void Backward(const Pass& pass) override;

 private:
  // One record with its channels last, of one thread: bottom, top, and places of the maxima.
  struct Workspace {
    Buffer<float> in, out, at;
    PlanePooling planes;
  };

  absl::Status Allocate() override;

  int64_t bottom_record() const { return window_.channels * window_.in_plane(); }
  int64_t top_record() const { return window_.channels * window_.out_plane(); }
  // Those of the values of top 0 from `to` on, or null.
  float* PlacesAt(int64_t to) { return at_.size() == 0 ? nullptr : at_.data() + to; }
  // The planes [begin, end) as they are, of all records.
  void ForwardPlanes(int64_t begin, int64_t end, PlanePooling* planes);
  void ForwardTurned(int64_t record, Workspace* space);
  // Its values [begin, end).
  void WriteSecondTop(int64_t begin, int64_t end);
  void BackwardRecord(int64_t record, Workspace* space);

  const Window window_;
  const bool max_;
  const int64_t packets_;
  // Floats from one place to the next in a workspace.
  const int64_t width_;
  // As top 0: where its value stood in the plane; bits of int32. Empty if nobody asks.
  Buffer<float> at_;
  std::vector<std::unique_ptr<Workspace>> spaces_;
};

}  // namespace samovar
