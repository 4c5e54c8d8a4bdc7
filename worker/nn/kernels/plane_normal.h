// BatchNorm, and the Scale and the ReLU above it, of one plane: the values of one record and channel. (Formulas:
// layers/batch_norm_layer.h.)
//
// Sums are of floats within a block, and of doubles over the blocks. For one build they depend on the values alone.
#pragma once

#include <cstdint>

namespace samovar {

// z = (x - mean) * inverse * scale + bias, and 0 instead of what is below 0 if `relu`.
struct PlaneLine {
  float mean = 0;
  float inverse = 1;
  float scale = 1;
  float bias = 0;
  bool relu = false;
};

struct PlaneMoments {
  double mean;
  // Sum of (x - mean)^2.
  double squares;
};

// n > 0.
PlaneMoments MeasurePlane(const float* x, int64_t n);

// z may be x.
void NormalisePlane(const PlaneLine& line, const float* x, int64_t n, float* z);

// With y = (x - mean) * inverse, and dr = dz where the line is above 0, or everywhere without ReLU.
struct PlaneSums {
  double dr;
  double dr_y;
};
PlaneSums SumPlane(const PlaneLine& line, const float* x, const float* dz, int64_t n);

// dx = (dr * scale - dy - y * dy_y) * inverse. dx may be dz.
struct PlaneMeans {
  float dy;
  float dy_y;
};
void WritePlaneGradient(const PlaneLine& line, const PlaneMeans& means, const float* x, const float* dz, int64_t n,
                        float* dx);

}  // namespace samovar
