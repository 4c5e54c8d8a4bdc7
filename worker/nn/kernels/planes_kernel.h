// Products of weights with planes, the channels of an image as they lie in memory: the sums of neighbouring places are
// made side by side. No channel has to be turned to lie last, which costs more than the products where an output has
// few terms.
#pragma once

#include <cstdint>

namespace samovar {

// out[m * out_stride + p] = bias[m] + sum over t < terms, in order, of weights of (m, t) * in[offsets[t] + p]
// for m < rows, p < count.
struct PlanesProduct {
  const float* in = nullptr;
  const int64_t* offsets = nullptr;
  int64_t terms = 0;
  // As PackPlaneWeights wrote them.
  const float* weights = nullptr;
  // Null: zero.
  const float* bias = nullptr;
  int64_t rows = 0;
  // REQUIRES: at least a packet
  int64_t count = 0;
  float* out = nullptr;
  int64_t out_stride = 0;
};

// The weight of (m, t) is weights[m * row_stride + places[t]]. packed: rows * terms floats.
void PackPlaneWeights(int64_t rows, int64_t terms, const float* weights, int64_t row_stride, const int64_t* places,
                      float* packed);
// Reads and writes nothing outside of the places p < count.
void RunPlanes(const PlanesProduct& product);

// sums[m * terms + t] += sum over p < count of diff[m * diff_stride + p] * in[offsets[t] + p], where each of `sums` is
// a packet, whose lanes are still to be added.
struct PlanesDots {
  const float* diff = nullptr;
  int64_t diff_stride = 0;
  int64_t rows = 0;
  const float* in = nullptr;
  const int64_t* offsets = nullptr;
  int64_t terms = 0;
  // A multiple of packets.
  int64_t count = 0;
  float* sums = nullptr;
};
void AddPlanesDots(const PlanesDots& dots);

// to[places[i]] += the lanes of packet i of `sums`, for i < count.
void AddLanes(const float* sums, int64_t count, const int64_t* places, float* to);

}  // namespace samovar
