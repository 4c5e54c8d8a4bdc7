#include "worker/nn/kernels/plane_normal.h"

#include <algorithm>

#include "worker/nn/kernels/packet.h"

namespace samovar {
namespace {

// Values of a block, whose sums are of floats.
constexpr int64_t kBlock = 256;

// A line with each of its numbers in all lanes.
struct Lanes {
  explicit Lanes(const PlaneLine& line)
      : minus_mean(Broadcast(-line.mean)),
        inverse(Broadcast(line.inverse)),
        scale(Broadcast(line.scale)),
        bias(Broadcast(line.bias)) {}

  Packet Normal(const Packet& x) const { return Mul(Add(x, minus_mean), inverse); }
  // Rounds twice, as a Scale by itself does.
  Packet Scaled(const Packet& y) const { return Add(Mul(y, scale), bias); }
  template <bool kRelu>
  Packet Rectified(const Packet& dz, const Packet& y) const {
    return kRelu ? Select(Less(Broadcast(0), Scaled(y)), dz, Broadcast(0)) : dz;
  }

  Packet minus_mean, inverse, scale, bias;
};

// One sum in several registers, which do not wait for each other.
class PacketSum {
 public:
  void Add(int lane, const Packet& p) { parts_[lane] = samovar::Add(parts_[lane], p); }
  void AddProduct(int lane, const Packet& a, const Packet& b) { parts_[lane] = MulAdd(a, b, parts_[lane]); }
  double Take() {
    const Packet sum = samovar::Add(samovar::Add(parts_[0], parts_[1]), samovar::Add(parts_[2], parts_[3]));
    std::fill_n(parts_, kLanes, Broadcast(0));
    return double{Eigen::internal::predux(sum)};
  }
  static constexpr int kLanes = 4;

 private:
  Packet parts_[kLanes] = {Broadcast(0), Broadcast(0), Broadcast(0), Broadcast(0)};
};

// body(lane, i) for each whole packet of the values [0, n), after_block() after each block of them; rest(i, count) for
// what is left.
template <typename Body, typename Rest, typename AfterBlock>
void ForEachPacket(int64_t n, Body body, Rest rest, AfterBlock after_block) {
  constexpr int64_t kStep = PacketSum::kLanes * kPacketSize;
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const int64_t end = std::min(n, begin + kBlock);
    int64_t i = begin;
    for (; i + kStep <= end; i += kStep) {
#pragma GCC unroll 4
      for (int lane = 0; lane < PacketSum::kLanes; ++lane) body(lane, i + lane * kPacketSize);
    }
    for (; i + kPacketSize <= end; i += kPacketSize) body(0, i);
    if (i < end) rest(i, end - i);
    after_block();
  }
}

template <typename Body, typename Rest>
void ForEachPacket(int64_t n, Body body, Rest rest) {
  int64_t i = 0;
  for (; i + kPacketSize <= n; i += kPacketSize) body(i);
  if (i < n) rest(i, n - i);
}

// The sum of x - from: where x is far from 0 its values say more in their differences than in their sums.
double SumOfDifferences(const float* x, int64_t n, float from) {
  const Packet minus = Broadcast(-from);
  PacketSum part;
  double sum = 0;
  ForEachPacket(
      n, [&](int lane, int64_t i) { part.Add(lane, Add(Load(x + i), minus)); },
      [&](int64_t i, int64_t count) {
        for (int64_t k = i; k < i + count; ++k) sum += double{x[k]} - double{from};
      },
      [&] { sum += part.Take(); });
  return sum;
}

double SumOfSquares(const float* x, int64_t n, float mean) {
  const Packet minus_mean = Broadcast(-mean);
  PacketSum part;
  double sum = 0;
  const auto add = [&](int lane, const Packet& deviation) { part.AddProduct(lane, deviation, deviation); };
  ForEachPacket(
      n, [&](int lane, int64_t i) { add(lane, Add(Load(x + i), minus_mean)); },
      [&](int64_t i, int64_t count) {
        float deviations[kPacketSize] = {};
        for (int64_t k = 0; k < count; ++k) deviations[k] = x[i + k] - mean;
        add(1, Load(deviations));
      },
      [&] { sum += part.Take(); });
  return sum;
}

template <bool kRelu>
void Normalise(const PlaneLine& line, const float* x, int64_t n, float* z) {
  const Lanes lanes(line);
  const auto result = [&](const Packet& value) {
    const Packet scaled = lanes.Scaled(lanes.Normal(value));
    return kRelu ? Relu(scaled) : scaled;
  };
  ForEachPacket(
      n, [&](int64_t i) { Store(z + i, result(Load(x + i))); },
      [&](int64_t i, int64_t count) {
        const LaneMask some = FirstLanes(count);
        StoreLanes(some, z + i, result(LoadLanes(some, x + i)));
      });
}

template <bool kRelu>
PlaneSums SumGradients(const PlaneLine& line, const float* x, const float* dz, int64_t n) {
  const Lanes lanes(line);
  PacketSum dr_part, product_part;
  PlaneSums sums{0, 0};
  const auto add = [&](int lane, const Packet& value, const Packet& diff) {
    const Packet y = lanes.Normal(value);
    const Packet dr = lanes.Rectified<kRelu>(diff, y);
    dr_part.Add(lane, dr);
    product_part.AddProduct(lane, dr, y);
  };
  ForEachPacket(
      n, [&](int lane, int64_t i) { add(lane, Load(x + i), Load(dz + i)); },
      [&](int64_t i, int64_t count) {
        const LaneMask some = FirstLanes(count);
        add(1, LoadLanes(some, x + i), LoadLanes(some, dz + i));
      },
      [&] {
        sums.dr += dr_part.Take();
        sums.dr_y += product_part.Take();
      });
  return sums;
}

template <bool kRelu>
void WriteGradient(const PlaneLine& line, const PlaneMeans& means, const float* x, const float* dz, int64_t n,
                   float* dx) {
  const Lanes lanes(line);
  const Packet minus_dy = Broadcast(-means.dy), minus_dy_y = Broadcast(-means.dy_y);
  const auto result = [&](const Packet& value, const Packet& diff) {
    const Packet y = lanes.Normal(value);
    const Packet dr = lanes.Rectified<kRelu>(diff, y);
    return Mul(MulAdd(y, minus_dy_y, MulAdd(dr, lanes.scale, minus_dy)), lanes.inverse);
  };
  ForEachPacket(
      n, [&](int64_t i) { Store(dx + i, result(Load(x + i), Load(dz + i))); },
      [&](int64_t i, int64_t count) {
        const LaneMask some = FirstLanes(count);
        StoreLanes(some, dx + i, result(LoadLanes(some, x + i), LoadLanes(some, dz + i)));
      });
}

}  // namespace

PlaneMoments MeasurePlane(const float* x, int64_t n) {
  const double mean = double{x[0]} + SumOfDifferences(x, n, x[0]) / static_cast<double>(n);
  // The mean as a float is another one: its distance from the true one is taken out again.
  const auto rounded = static_cast<float>(mean);
  const double distance = mean - double{rounded};
  const double squares = SumOfSquares(x, n, rounded) - static_cast<double>(n) * distance * distance;
  return {mean, std::max(0.0, squares)};
}

void NormalisePlane(const PlaneLine& line, const float* x, int64_t n, float* z) {
  line.relu ? Normalise<true>(line, x, n, z) : Normalise<false>(line, x, n, z);
}

PlaneSums SumPlane(const PlaneLine& line, const float* x, const float* dz, int64_t n) {
  return line.relu ? SumGradients<true>(line, x, dz, n) : SumGradients<false>(line, x, dz, n);
}

void WritePlaneGradient(const PlaneLine& line, const PlaneMeans& means, const float* x, const float* dz, int64_t n,
                        float* dx) {
  line.relu ? WriteGradient<true>(line, means, x, dz, n, dx) : WriteGradient<false>(line, means, x, dz, n, dx);
}

}  // namespace samovar
