#include "common/data/image_resize.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace samovar {
namespace {

constexpr float kOne = 2048;  // a weight of 1

// Where an output position lies between two input positions. The weights add up to kOne, but for rounding.
struct Between {
  int first;
  int second;
  int first_weight;
  int second_weight;
};

// `clamp_weights`: at an edge the one pixel there has all the weight; else it is taken twice, with both.
std::vector<Between> Positions(int in, int out, bool clamp_weights) {
  const double scale = static_cast<double>(in) / out;
  std::vector<Between> positions(static_cast<size_t>(out));
  for (int i = 0; i < out; ++i) {
    float place = static_cast<float>((i + 0.5) * scale - 0.5);
    int first = static_cast<int>(std::floor(place));
    float part = place - static_cast<float>(first);
    if (clamp_weights && (first < 0 || first >= in - 1)) part = 0;
    positions[static_cast<size_t>(i)] = {std::clamp(first, 0, in - 1), std::clamp(first + 1, 0, in - 1),
                                         static_cast<int>(std::lrint((1 - part) * kOne)),
                                         static_cast<int>(std::lrint(part * kOne))};
  }
  return positions;
}

void ResizeRow(const uint8_t* in, const std::vector<Between>& columns, int32_t* out) {
  for (size_t x = 0; x < columns.size(); ++x) {
    const Between& at = columns[x];
    out[x] = in[at.first] * at.first_weight + in[at.second] * at.second_weight;
  }
}

void ResizePlane(const uint8_t* in, int in_width, const std::vector<Between>& rows, const std::vector<Between>& columns,
                 uint8_t* out) {
  const size_t width = columns.size();
  // The two input rows of the last output row, stretched; often the next one's too.
  std::vector<int32_t> above(width), below(width);
  int above_row = -1, below_row = -1;
  for (const Between& row : rows) {
    if (row.first == below_row) {
      above.swap(below);
      std::swap(above_row, below_row);
    }
    if (row.first != above_row) ResizeRow(in + static_cast<size_t>(row.first) * in_width, columns, above.data());
    above_row = row.first;
    if (row.second != below_row) ResizeRow(in + static_cast<size_t>(row.second) * in_width, columns, below.data());
    below_row = row.second;
    for (size_t x = 0; x < width; ++x) {
      const int sum = ((row.first_weight * (above[x] >> 4)) >> 16) + ((row.second_weight * (below[x] >> 4)) >> 16);
      out[x] = static_cast<uint8_t>((sum + 2) >> 2);
    }
    out += width;
  }
}

void HalvePlane(const uint8_t* in, int height, int width, uint8_t* out) {
  for (int y = 0; y < height; ++y) {
    const uint8_t* row = in + size_t{4} * y * width;
    for (int x = 0; x < width; ++x) {
      const uint8_t* at = row + 2 * x;
      *out++ = static_cast<uint8_t>((at[0] + at[1] + at[2 * width] + at[2 * width + 1] + 2) >> 2);
    }
  }
}

}  // namespace

void ResizeImage(const Image& in, int height, int width, Image* out) {
  out->shape = {in.shape.channels, height, width};
  out->data.resize(out->shape.elements());
  if (out->shape == in.shape) {
    out->data = in.data;
    return;
  }
  const bool halves = in.shape.height == 2 * int64_t{height} && in.shape.width == 2 * int64_t{width};
  const std::vector<Between> rows = Positions(in.shape.height, height, /*clamp_weights=*/false);
  const std::vector<Between> columns = Positions(in.shape.width, width, /*clamp_weights=*/true);
  const size_t in_plane = static_cast<size_t>(in.shape.height) * in.shape.width;
  const size_t out_plane = static_cast<size_t>(height) * width;
  for (int c = 0; c < in.shape.channels; ++c) {
    const auto* from = reinterpret_cast<const uint8_t*>(in.data.data()) + c * in_plane;
    auto* to = reinterpret_cast<uint8_t*>(out->data.data()) + c * out_plane;
    if (halves) {
      HalvePlane(from, height, width, to);
    } else {
      ResizePlane(from, in.shape.width, rows, columns, to);
    }
  }
}

}  // namespace samovar
