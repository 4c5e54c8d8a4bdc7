#include "common/model/gradient_clip.h"

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "tests/support/catch.h"

namespace samovar {
namespace {

using Floats = std::vector<float>;

std::vector<double> SquaresOf(std::span<const float> values) {
  std::vector<double> sums(SquaresBlocks(values.size()));
  AddSquares(values, 0, values.size(), sums);
  return sums;
}

Floats RandomFloats(size_t count) {
  std::mt19937 random(1);
  Floats values(count);
  // Of different magnitudes, so that another order of additions would show.
  for (float& value : values) {
    const float mantissa = 1.0f + static_cast<float>(random() % 1000) / 999;
    value = std::ldexp(mantissa, static_cast<int>(random() % 30) - 15) * (random() % 2 == 0 ? 1.0f : -1.0f);
  }
  return values;
}

TEST_CASE("a norm is the root of the sum of squares") {
  CHECK(NormOf(SquaresOf(Floats{3, -4, 12})) == 13);
  CHECK(NormOf(SquaresOf(Floats())) == 0);
  const Floats values = RandomFloats(5000);
  long double sum = 0;
  for (const float value : values) sum += static_cast<long double>(value) * value;
  CHECK(NormOf(SquaresOf(values)) == Approx(static_cast<double>(std::sqrt(sum))).epsilon(1e-14));
  // Their squares are beyond float.
  const float largest = std::numeric_limits<float>::max();
  CHECK(NormOf(SquaresOf(Floats{largest, largest})) == Approx(std::sqrt(2.0) * largest));
}

TEST_CASE("a norm is the same to the bit however the vector is cut into chunks of whole blocks") {
  const Floats values = RandomFloats(20 * kSquaresBlock + 300);
  const double expected = NormOf(SquaresOf(values));
  for (const size_t blocks : {1, 2, 3, 4, 7, 20, 21}) {
    std::vector<double> sums;
    for (size_t begin = 0; begin < values.size(); begin += blocks * kSquaresBlock) {
      const size_t size = std::min<size_t>(blocks * kSquaresBlock, values.size() - begin);
      const std::vector<double> more = SquaresOf(std::span(values).subspan(begin, size));
      sums.insert(sums.end(), more.begin(), more.end());
    }
    INFO(blocks << " blocks a chunk");
    CHECK(NormOf(sums) == expected);
  }
}

TEST_CASE("squares are summed of a part of the values only") {
  Floats values(3000, 2);
  std::vector<double> sums(SquaresBlocks(values.size()));
  AddSquares(values, 1000, 1030, sums);
  AddSquares(values, 2999, 3000, sums);
  CHECK(sums == std::vector<double>{24 * 4.0, 6 * 4.0, 4.0});
}

TEST_CASE("a gradient is scaled to the limit, and then divided by the passes") {
  const auto clipped = [](float limit, double norm, int passes) {
    Floats values = {3, -4};
    ClipAndDivide(limit, norm, passes, values);
    return values;
  };
  CHECK(clipped(5, 5, 1) == Floats{3, -4});
  CHECK(clipped(-1, 1000, 1) == Floats{3, -4});
  CHECK(clipped(2.5f, 5, 1) == Floats{1.5f, -2});
  CHECK(clipped(2.5f, 5, 2) == Floats{0.75f, -1});
  CHECK(clipped(5, 5, 4) == Floats{0.75f, -1});
  CHECK(clipped(0, 5, 1) == Floats{0, 0});
  CHECK(clipped(0, 0, 1) == Floats{3, -4});
}

}  // namespace
}  // namespace samovar
