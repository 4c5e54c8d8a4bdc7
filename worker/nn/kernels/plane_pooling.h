// Pooling of planes as blobs have them, one channel after the other, for small windows: first over the rows of each
// window and then over its columns, whole vectors of columns at a time. Geometry as in pooling_layer.cc; results as
// pooling_kernel.h's, bit for bit.
//
// Columns that are a stride apart stand side by side in the frame, so that neighbouring windows read neighbours.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "worker/nn/kernels/buffer.h"
#include "worker/nn/kernels/window.h"

namespace samovar {

class PlanePooling {
 public:
  // Whether it is faster than pooling_kernel.h, which turns the image: a fixed rule of the shape.
  static bool Suits(const Window& window);

  // `max`: Maximum is called, else Average. RESOURCE_EXHAUSTED: no memory for the frame.
  absl::Status Allocate(const Window& window, bool max);

  // out and at, [out_h, out_w]: the maximum, and the bits of an int32, its place in the plane; at may be null.
  void Maximum(const float* in, float* out, float* at);
  // The mean.
  void Average(const float* in, float* out);

 private:
  // Sets the frame around the plane, for good.
  void SetMargins(float margin);
  void FillFrame(const float* in);
  // Maxima of each column over a window's rows, for all rows of windows.
  void MaximumOfRows(const float* next);
  // A row of windows takes long enough to have its part of the next plane fetched meanwhile.
  void Prefetch(const float* next, int64_t out_row) const;
  // One row of windows, from the maxima.
  void MaximumOfColumns(int64_t out_row);
  void MaximumWithPlaces(const float* next, float* out, float* at);
  // The maxima along one row of the plane, for each window.
  void MaximumOfRowWithColumns(int64_t row);

  Window window_;
  // Columns of one remainder by the stride, and all of a row: multiples of packets.
  int64_t lane_ = 0, width_ = 0;
  // Where in a row of the frame window 0 has the value of each of its columns; those of the others follow.
  std::vector<int64_t> taps_;
  // Outputs of a row, rounded up to packets.
  int64_t out_width_ = 0;
  // The plane: [in_h, stride_w, lane_].
  Buffer<float> frame_;
  // Each column's maximum over a window's rows: [out_h, stride_w, lane_].
  Buffer<float> best_;
  // Each row's maxima and their columns, bits of int32: row y in place y % kernel_h, [kernel_h, out_width_].
  Buffer<float> tap_best_, tap_column_;
  // For one row of windows: maxima; numbers of values; their first columns, bits of int32.
  Buffer<float> out_best_, out_counts_, out_column_;
};

}  // namespace samovar
