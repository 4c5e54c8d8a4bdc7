#include "benchmarks/support/triad.h"

#include "common/base/vector_level.h"

namespace samovar {

Triad::Triad(size_t floats) : a_(floats / 3, 1.0f), b_(floats / 3, 2.0f), c_(floats / 3, 3.0f) {}

void Triad::Run() {
  AtVectorLevel([count = a_.size(), a = a_.data(), b = b_.data(), c = c_.data()] {
    float* __restrict to = a;
    const float* __restrict x = b;
    const float* __restrict y = c;
    for (size_t i = 0; i < count; ++i) to[i] = x[i] + 0.5f * y[i];
  });
}

}  // namespace samovar
