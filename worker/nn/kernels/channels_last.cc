#include "worker/nn/kernels/channels_last.h"

#include "worker/nn/kernels/packet.h"

namespace samovar {
namespace {

// A square of as many rows and columns as a packet has values.
void TransposeSquare(const float* in, int64_t in_stride, float* out, int64_t out_stride) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored \
    "-Wignored-attributes"  // Packet's alignment, which the template's argument need not carry.
  Eigen::internal::PacketBlock<Packet, kPacketSize> block;
#pragma GCC diagnostic pop
#pragma GCC unroll 16
  for (int64_t i = 0; i < kPacketSize; ++i) block.packet[i] = Load(in + i * in_stride);
  Eigen::internal::ptranspose(block);
#pragma GCC unroll 16
  for (int64_t i = 0; i < kPacketSize; ++i) Store(out + i * out_stride, block.packet[i]);
}

void TransposeByOne(const float* in, int64_t rows, int64_t columns, int64_t in_stride, float* out, int64_t out_stride) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) out[j * out_stride + i] = in[i * in_stride + j];
  }
}

// Where the square behind the one at `i` begins; the last one overlaps its neighbour rather than reach beyond n.
int64_t NextSquare(int64_t i, int64_t n) {
  if (i + kPacketSize >= n) return n;
  return i + 2 * kPacketSize <= n ? i + kPacketSize : n - kPacketSize;
}

}  // namespace

void Transpose(const float* in, int64_t rows, int64_t columns, int64_t in_stride, float* out, int64_t out_stride) {
  if (rows < kPacketSize || columns < kPacketSize) return TransposeByOne(in, rows, columns, in_stride, out, out_stride);
  for (int64_t j = 0; j < columns; j = NextSquare(j, columns)) {
    for (int64_t i = 0; i < rows; i = NextSquare(i, rows)) {
      TransposeSquare(in + i * in_stride + j, in_stride, out + j * out_stride + i, out_stride);
    }
  }
}

void ToChannelsLast(const float* planes, int64_t count, const Frame& frame, float* out) {
  const int64_t plane = frame.height * frame.width;
  out += frame.origin();
  if (frame.pad_w == 0) return Transpose(planes, count, plane, plane, out, frame.channels);
  for (int64_t y = 0; y < frame.height; ++y) {
    Transpose(planes + y * frame.width, count, frame.width, plane, out + y * frame.row(), frame.channels);
  }
}

void FromChannelsLast(const float* in, const Frame& frame, int64_t count, float* planes) {
  const int64_t plane = frame.height * frame.width;
  in += frame.origin();
  if (frame.pad_w == 0) return Transpose(in, plane, count, frame.channels, planes, plane);
  for (int64_t y = 0; y < frame.height; ++y) {
    Transpose(in + y * frame.row(), frame.width, count, frame.channels, planes + y * frame.width, plane);
  }
}

void AddOverPlaces(const Frame& frame, const float* image, float* sums) {
  for (int64_t y = 0; y < frame.height; ++y) {
    const float* row = image + frame.origin() + y * frame.row();
    for (int64_t c = 0; c < frame.channels; c += kPacketSize) {
      Packet total = Load(sums + c);
      for (int64_t x = 0; x < frame.width; ++x) total = Add(total, Load(row + x * frame.channels + c));
      Store(sums + c, total);
    }
  }
}

}  // namespace samovar
