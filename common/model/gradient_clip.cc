#include "common/model/gradient_clip.h"

#include <algorithm>
#include <cmath>

namespace samovar {
namespace {

double SumOfSquares(std::span<const float> values) {
  // Eight sums side by side, which the compiler keeps in vectors; their order is fixed.
  double lanes[8] = {};
  size_t i = 0;
  for (; i + 8 <= values.size(); i += 8) {
    for (size_t lane = 0; lane < 8; ++lane) lanes[lane] += static_cast<double>(values[i + lane]) * values[i + lane];
  }
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  for (; i < values.size(); ++i) sum += static_cast<double>(values[i]) * values[i];
  return sum;
}

}  // namespace

void AddSquares(std::span<const float> values, uint64_t begin, uint64_t end, std::span<double> sums) {
  while (begin < end) {
    const uint64_t block = begin / kSquaresBlock;
    const uint64_t stop = std::min(end, (block + 1) * kSquaresBlock);
    sums[block] += SumOfSquares(values.subspan(begin, stop - begin));
    begin = stop;
  }
}

double NormOf(std::span<const double> sums) {
  double sum = 0;
  for (const double value : sums) sum += value;
  return std::sqrt(sum);
}

void ClipAndDivide(float limit, double norm, int passes, std::span<float> values) {
  const float scale = limit >= 0 && norm > limit ? static_cast<float>(limit / norm) : 1.0f;
  if (scale == 1.0f && passes == 1) return;
  // Twice rounded, as Caffe does it.
  const float share = 1.0f / static_cast<float>(passes);
  for (float& value : values) value = value * scale * share;
}

}  // namespace samovar
