#include "worker/nn/kernels/lrn_kernel.h"

#include <algorithm>
#include <array>
#include <cfloat>
#include <cmath>

#include "worker/nn/kernels/copy_row.h"
#include "worker/nn/kernels/packet_math.h"

namespace samovar {

namespace {

#ifdef EIGEN_VECTORIZE_AVX512
bool Any(Mask mask) { return mask != 0; }
#else
bool Any(const Mask& mask) { return Eigen::internal::predux_any(mask); }
#endif

// function(value) of each lane, by itself.
template <typename Function>
Packet OfLanes(const Packet& p, Function function) {
  float values[kPacketSize];
  Store(values, p);
  for (float& value : values) value = function(value);
  return Load(values);
}

struct PowerAndInverse {
  // s^(-beta), 1 / s
  Packet power, inverse;
};

// s^(-beta) of a packet. std::sqrt becomes the exact instruction; Eigen's square root is an approximation that differs
// between makes of CPU.
//
// A quarter of the exponent, taken from a constant, gives the first u near s^(-1/4). With r = s u^4 - 1, which is then
// at most 1/8 from 0, s^(-3/4) = u^3 (1 + r)^(-3/4), a polynomial of r; and s^(-1/4) = u (1 + r)^(-1/4).
struct ThreeQuarters {
  Packet operator()(const Packet& s) const {
    constexpr float kCoefficients[] = {-0.5462579131f, 0.5759218931f,  -0.6015087366f,
                                       0.6561811566f,  -0.7500000596f, 1.0f};
    const Packet u = First(s), square = Mul(u, u);
    const Packet power = Mul(Mul(square, u), Polynomial(Rest(s, square), kCoefficients));
    return Any(Beyond(s)) ? OfBeyond(s, power) : power;
  }

  PowerAndInverse Both(const Packet& s) const {
    constexpr float kCoefficients[] = {-0.0825011358f, 0.0968630388f,  -0.1171761751f,
                                       0.1562405080f,  -0.2500000298f, 1.0f};
    const Packet u = First(s);
    const Packet root = Mul(u, Polynomial(Rest(s, Mul(u, u)), kCoefficients));
    const Packet square = Mul(root, root);
    if (Any(Beyond(s))) return {OfBeyond(s, Mul(square, root)), Div(Broadcast(1), s)};
    return {Mul(square, root), Mul(square, square)};
  }

 private:
  static Packet First(const Packet& s) {
    return OfBits(Eigen::internal::psub(BroadcastInt(0x4f582000), Eigen::internal::plogical_shift_right<2>(BitsOf(s))));
  }
  static Packet Rest(const Packet& s, const Packet& square) { return MulAdd(Mul(s, square), square, Broadcast(-1)); }
  // Below the smallest normal number, or infinite: there r says nothing.
  static Mask Beyond(const Packet& s) { return Or(Less(s, Broadcast(FLT_MIN)), Less(Broadcast(FLT_MAX), s)); }
  // The same with what is beyond put right.
  [[gnu::noinline]] static Packet OfBeyond(const Packet& s, const Packet& power) {
    return Select(Beyond(s),
                  OfLanes(s, [](float value) { return 1 / (std::sqrt(value) * std::sqrt(std::sqrt(value))); }), power);
  }
};

template <typename Power>
struct WithQuotient : Power {
  PowerAndInverse Both(const Packet& s) const { return {(*this)(s), Div(Broadcast(1), s)}; }
};

struct Half {
  Packet operator()(const Packet& s) const {
    return OfLanes(s, [](float value) { return 1 / std::sqrt(value); });
  }
};

struct Whole {
  Packet operator()(const Packet& s) const { return Div(Broadcast(1), s); }
};

struct AnyPower {
  Packet minus_beta;
  Packet operator()(const Packet& s) const {
    const Packet log = Mul(IfFinite(s, PacketLog(s)), minus_beta);
    return IfFinite(log, PacketExp(log));
  }
};

// body(power), with the function for this beta.
template <typename Body>
void WithPower(float beta, Body body) {
  if (beta == 0.75f) return body(ThreeQuarters{});
  if (beta == 0.5f) return body(WithQuotient<Half>{});
  if (beta == 1) return body(WithQuotient<Whole>{});
  body(WithQuotient<AnyPower>{{Broadcast(-beta)}});
}

// How a packet is read and written: all of it, or its first lanes.
struct AllLanes {
  Packet Get(const float* from) const { return Load(from); }
  void Put(float* to, const Packet& p) const { Store(to, p); }
};
struct SomeLanes {
  LaneMask mask;
  Packet Get(const float* from) const { return LoadLanes(mask, from); }
  void Put(float* to, const Packet& p) const { StoreLanes(mask, to, p); }
};

// body(i, lanes) for the packets of n floats.
template <typename Body>
void ForEachPacket(int64_t n, Body body) {
  int64_t i = 0;
  for (; i + kPacketSize <= n; i += kPacketSize) body(i, AllLanes{});
  if (i < n) body(i, SomeLanes{FirstLanes(n - i)});
}

// Rows that are fetched before they are needed.
constexpr int64_t kAhead = 2;

// The rows of a strip around one, those beyond the first and the last left out.
struct RowsAround {
  RowsAround(int64_t row, const ChannelStrip& strip)
      : first(std::max<int64_t>(0, row - strip.half)), count(std::min(strip.rows - 1, row + strip.half) - first + 1) {}

  int64_t first;
  int64_t count;
};

// body.operator()<count>(): 1 to 7 rows.
template <typename Body>
void WithCount(int64_t count, Body body) {
  switch (count) {
    case 1:
      return body.template operator()<1>();
    case 2:
      return body.template operator()<2>();
    case 3:
      return body.template operator()<3>();
    case 4:
      return body.template operator()<4>();
    case 5:
      return body.template operator()<5>();
    case 6:
      return body.template operator()<6>();
    default:
      return body.template operator()<7>();
  }
}

// Rows that are kept until those around them are known, row r in place r % kRows.
struct Ring {
  static constexpr int64_t kRows = ChannelStrip::kSpaceRows / 2;
  static_assert(kRows > 2 * ChannelStrip::kMostHalf);

  float* row(int64_t r) const { return first + r % kRows * pitch; }

  float* first;
  int64_t pitch;
};

// The number-th of the rings in `space`.
Ring RingOf(const ChannelStrip& strip, float* space, int64_t number) {
  const int64_t pitch = RoundUpToPackets(strip.n);
  return {space + number * Ring::kRows * pitch, pitch};
}

// body(rows), an array of the rows around one, whose size is known when it is compiled. `row_of` gives a row.
template <typename RowOf, typename Body>
void WithRows(const ChannelStrip& strip, int64_t row, RowOf row_of, Body body) {
  const RowsAround around(row, strip);
  WithCount(around.count, [&]<int64_t kCount>() {
    std::array<const float*, kCount> rows;
    for (int64_t r = 0; r < kCount; ++r) rows[static_cast<size_t>(r)] = row_of(around.first + r);
    body(rows);
  });
}

// body(i, lanes, s) for the packets of one row.
template <typename RowOf, typename Body>
void ForEachSum(const ChannelStrip& strip, int64_t row, RowOf row_of, Body body) {
  WithRows(strip, row, row_of,
           [body, n = strip.n, k = Broadcast(strip.k), weight = Broadcast(strip.weight)](const auto rows) {
             ForEachPacket(n, [=](int64_t i, const auto& lanes) {
               const Packet first = lanes.Get(rows[0] + i);
               Packet sum = Mul(first, first);
#pragma GCC unroll 7
               for (size_t r = 1; r < rows.size(); ++r) {
                 const Packet value = lanes.Get(rows[r] + i);
                 sum = MulAdd(value, value, sum);
               }
               body(i, lanes, MulAdd(sum, weight, k));
             });
           });
}

// Strips are a page or more apart in memory: no processor sees by itself which comes next.
template <int kWrite>
void FetchRow(const ChannelStrip& strip, int64_t row, const float* x) {
  if (row >= strip.rows) return;
  constexpr int64_t kLine = 16;
  for (int64_t i = 0; i < strip.n; i += kLine) __builtin_prefetch(x + row * strip.stride + i, kWrite);
}

}  // namespace

void NegativePower(const float* s, int64_t n, float beta, float* y) {
  WithPower(beta, [&](const auto& power) { MapPackets(n, y, power, s); });
}

void NormaliseStrip(const ChannelStrip& strip, const float* x, float* space, float* y) {
  // In place the values are needed until the sums of those around them are made.
  const Ring kept = RingOf(strip, space, 0);
  const bool keeps = x == y;
  const auto row_of = [=](int64_t row) { return keeps ? kept.row(row) : x + row * strip.stride; };
  const auto keep = [&](int64_t row) {
    if (keeps && row < strip.rows) std::copy_n(x + row * strip.stride, strip.n, kept.row(row));
  };
  for (int64_t row = 0; row < strip.half; ++row) keep(row);
  WithPower(strip.beta, [&](const auto& power) {
    for (int64_t row = 0; row < strip.rows; ++row) {
      keep(row + strip.half);
      FetchRow<0>(strip, row + strip.half + kAhead, x);
      FetchRow<1>(strip, row + kAhead, y);
      ForEachSum(
          strip, row, row_of,
          [from = row_of(row), to = y + row * strip.stride, power](int64_t i, const auto& lanes, const Packet& s) {
            lanes.Put(to + i, Mul(lanes.Get(from + i), power(s)));
          });
    }
  });
}

namespace {

// dx of one row: `scaled` is dy * s^(-beta) of it, `products` dy * x * s^(-beta - 1) of those around it.
void WriteRowGradient(const ChannelStrip& strip, int64_t row, const Ring& products, const float* scaled, const float* x,
                      float* dx) {
  const Packet factor = Broadcast(-2 * strip.weight * strip.beta);
  WithRows(
      strip, row, [&](int64_t r) { return products.row(r); },
      [=, n = strip.n](const auto rows) {
        ForEachPacket(n, [=](int64_t i, const auto& lanes) {
          Packet sum = Load(rows[0] + i);
#pragma GCC unroll 7
          for (size_t r = 1; r < rows.size(); ++r) sum = Add(sum, Load(rows[r] + i));
          lanes.Put(dx + i, MulAdd(Mul(factor, lanes.Get(x + i)), sum, Load(scaled + i)));
        });
      });
}

}  // namespace

void StripGradient(const ChannelStrip& strip, const float* x, const float* dy, float* space, float* dx) {
  const Ring scaled = RingOf(strip, space, 0), products = RingOf(strip, space, 1);
  const auto row_of = [=](int64_t row) { return x + row * strip.stride; };
  WithPower(strip.beta, [&](const auto& power) {
    for (int64_t row = 0; row < strip.rows + strip.half; ++row) {
      if (row < strip.rows) {
        FetchRow<0>(strip, row + strip.half + kAhead, x);
        FetchRow<0>(strip, row + kAhead, dy);
        ForEachSum(strip, row, row_of,
                   [power, scaled = scaled.row(row), product = products.row(row), values = row_of(row),
                    diff = dy + row * strip.stride](int64_t i, const auto& lanes, const Packet& s) {
                     const PowerAndInverse both = power.Both(s);
                     const Packet value = Mul(lanes.Get(diff + i), both.power);
                     Store(scaled + i, value);
                     Store(product + i, Mul(Mul(value, lanes.Get(values + i)), both.inverse));
                   });
        FetchRow<1>(strip, row, dx);
      }
      const int64_t done = row - strip.half;
      if (done < 0) continue;
      WriteRowGradient(strip, done, products, scaled.row(done), row_of(done), dx + done * strip.stride);
    }
  });
}

void SumAcross(const float* x, int64_t channels, int64_t width, int64_t half, double* running, float* sums) {
  double* __restrict sum = running;
  auto add = [&](int64_t channel, double sign) {
    const float* __restrict row = x + channel * width;
    for (int64_t i = 0; i < width; ++i) sum[i] += sign * row[i];
  };
  std::fill(sum, sum + width, 0.0);
  for (int64_t c = 0; c < std::min(half, channels); ++c) add(c, 1);
  for (int64_t c = 0; c < channels; ++c) {
    if (c + half < channels) add(c + half, 1);
    if (c - half - 1 >= 0) add(c - half - 1, -1);
    float* __restrict out = sums + c * width;
    for (int64_t i = 0; i < width; ++i) out[i] = static_cast<float>(sum[i]);
  }
}

namespace {

// sums[i] = the sum over the rows of x[row * stride + i].
template <int64_t kRows>
void SumRows(const float* x, int64_t stride, int64_t n, float* sums) {
  float* __restrict out = sums;
  const float* __restrict in = x;
  for (int64_t i = 0; i < n; ++i) {
    float sum = in[i];
    for (int64_t row = 1; row < kRows; ++row) sum += in[row * stride + i];
    out[i] = sum;
  }
}

// The same of any number of rows.
void SumAllRows(const float* x, int64_t rows, int64_t stride, int64_t n, float* sums) {
  WithCount(rows, [&]<int64_t kRows>() { SumRows<kRows>(x, stride, n, sums); });
  float* __restrict out = sums;
  for (int64_t row = 7; row < rows; ++row) {
    const float* __restrict in = x + row * stride;
    for (int64_t i = 0; i < n; ++i) out[i] += in[i];
  }
}

}  // namespace

PlaneBox::PlaneBox(int64_t height, int64_t width, int64_t half)
    : height(height), width(width), half_h(std::min(half, height - 1)), half_w(std::min(half, width - 1)) {}

void SumWithin(const PlaneBox& box, const float* image, float* space, float* sums) {
  const int64_t pitch = box.pitch();
  const int64_t places = box.height * pitch;
  float* const frame = space;
  float* const columns = frame + box.frame_elements();
  float* const boxes = columns + places;
  for (int64_t y = 0; y < box.height; ++y)
    CopyRow(image + y * box.width, frame + (y + box.half_h) * pitch + box.half_w, box.width);
  // All rows at once: what the sums along a row make at its end, of the next row too, is left out.
  SumAllRows(frame, 2 * box.half_h + 1, pitch, places, columns);
  SumAllRows(columns, 2 * box.half_w + 1, 1, places - 2 * box.half_w, boxes);
  for (int64_t y = 0; y < box.height; ++y) CopyRow(boxes + y * pitch, sums + y * box.width, box.width);
}

}  // namespace samovar
