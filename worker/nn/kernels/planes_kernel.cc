#include "worker/nn/kernels/planes_kernel.h"

#include <array>
#include <utility>

#include "worker/nn/kernels/packet.h"

namespace samovar {
namespace {

constexpr int64_t kRegisters = kPacketSize == 16 ? 32 : 16;
constexpr int kMostRows = kRegisters == 32 ? 8 : 6;
// Packets of a block by its rows: sums, the packets of a term and one weight fit into the registers; at least four sums
// hide the latency of additions where there is but one row.
constexpr int kMostPackets = 8;
constexpr int MostPackets(int rows) {
  if (rows == 1) return kMostPackets;
  if (rows == 2) return 4;
  return rows <= 4 || kRegisters == 32 ? 3 : 2;
}

int64_t DivideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Terms whose values for a block of places, kept in the first-level cache, are used by all rows.
constexpr int64_t kMostTerms = 256;

// `total` in blocks of two sizes that differ by one, the larger ones first: body(first, size).
template <typename Body>
void ForEachBlock(int64_t total, int64_t most, Body body) {
  if (total == 0) return;
  const int64_t blocks = DivideUp(total, most);
  const int64_t size = total / blocks;
  const int64_t larger = total % blocks;
  for (int64_t block = 0, first = 0; block < blocks; ++block) {
    const int64_t here = size + (block < larger ? 1 : 0);
    body(first, here);
    first += here;
  }
}

struct Terms {
  int64_t begin;
  int64_t end;
};

// The terms' part of M rows from `row` on, V packets from place `place` on: the first terms begin with the bias, others
// with what is there.
template <int M, int V>
void Block(const PlanesProduct& p, const Terms& terms, int64_t row, int64_t place) {
  const float* weights = p.weights + row * p.terms + terms.begin * M;
  const float* const in = p.in + place;
  const int64_t* const offsets = p.offsets;
  float* const out = p.out + row * p.out_stride + place;
  Packet sum[M][V];
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) {
    const Packet bias = Broadcast(p.bias == nullptr ? 0 : p.bias[row + m]);
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) sum[m][v] = terms.begin == 0 ? bias : Load(out + m * p.out_stride + v * kPacketSize);
  }
  for (int64_t t = terms.begin; t < terms.end; ++t, weights += M) {
    const float* from = in + offsets[t];
    Packet value[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) value[v] = Load(from + v * kPacketSize);
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
      const Packet weight = Broadcast(weights[m]);
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) sum[m][v] = MulAdd(weight, value[v], sum[m][v]);
    }
  }
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) {
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) Store(out + m * p.out_stride + v * kPacketSize, sum[m][v]);
  }
}

using BlockFunction = void (*)(const PlanesProduct&, const Terms&, int64_t, int64_t);
template <int M, int V>
constexpr BlockFunction BlockOf() {
  if constexpr (V <= MostPackets(M)) {
    return Block<M, V>;
  } else {
    return nullptr;
  }
}
using BlockRow = std::array<BlockFunction, kMostPackets>;
template <int M, int... V>
constexpr BlockRow BlocksOf(std::integer_sequence<int, V...>) {
  return {BlockOf<M, V + 1>()...};
}
template <int... M>
constexpr std::array<BlockRow, sizeof...(M)> AllBlocks(std::integer_sequence<int, M...>) {
  return {BlocksOf<M + 1>(std::make_integer_sequence<int, kMostPackets>())...};
}
// By rows - 1, packets - 1.
constexpr auto kBlocks = AllBlocks(std::make_integer_sequence<int, kMostRows>());

constexpr int kMostDotRows = 4;
constexpr int kMostDotTerms = 9;
// Sums, the values of a term's block and one of diff's fit into the registers.
constexpr int MostTerms(int rows) {
  if (rows == 1) return kMostDotTerms;
  if (rows == 2) return kRegisters == 32 ? 9 : 5;
  if (rows == 3) return kRegisters == 32 ? 7 : 3;
  return kRegisters == 32 ? 6 : 0;
}
constexpr int64_t kDotRows = kRegisters == 32 ? 4 : 3;

template <int M, int T>
void Dots(const PlanesDots& d, int64_t row, int64_t term) {
  const float* const diff = d.diff + row * d.diff_stride;
  float* const sums = d.sums + (row * d.terms + term) * kPacketSize;
  Packet sum[M][T];
  const float* in[T];
#pragma GCC unroll 9
  for (int t = 0; t < T; ++t) {
    in[t] = d.in + d.offsets[term + t];
#pragma GCC unroll 4
    for (int m = 0; m < M; ++m) sum[m][t] = Load(sums + (m * d.terms + t) * kPacketSize);
  }
  for (int64_t p = 0; p < d.count; p += kPacketSize) {
    Packet value[M];
#pragma GCC unroll 4
    for (int m = 0; m < M; ++m) value[m] = Load(diff + m * d.diff_stride + p);
#pragma GCC unroll 9
    for (int t = 0; t < T; ++t) {
      const Packet from = Load(in[t] + p);
#pragma GCC unroll 4
      for (int m = 0; m < M; ++m) sum[m][t] = MulAdd(value[m], from, sum[m][t]);
    }
  }
#pragma GCC unroll 9
  for (int t = 0; t < T; ++t) {
#pragma GCC unroll 4
    for (int m = 0; m < M; ++m) Store(sums + (m * d.terms + t) * kPacketSize, sum[m][t]);
  }
}

using DotsFunction = void (*)(const PlanesDots&, int64_t, int64_t);
template <int M, int T>
constexpr DotsFunction DotsOf() {
  if constexpr (T <= MostTerms(M)) {
    return Dots<M, T>;
  } else {
    return nullptr;
  }
}
using DotsRow = std::array<DotsFunction, kMostDotTerms>;
template <int M, int... T>
constexpr DotsRow DotsByTerms(std::integer_sequence<int, T...>) {
  return {DotsOf<M, T + 1>()...};
}
template <int... M>
constexpr std::array<DotsRow, sizeof...(M)> AllDots(std::integer_sequence<int, M...>) {
  return {DotsByTerms<M + 1>(std::make_integer_sequence<int, kMostDotTerms>())...};
}
constexpr auto kDots = AllDots(std::make_integer_sequence<int, kMostDotRows>());

}  // namespace

void PackPlaneWeights(int64_t rows, int64_t terms, const float* weights, int64_t row_stride, const int64_t* places,
                      float* packed) {
  ForEachBlock(rows, kMostRows, [&](int64_t first, int64_t size) {
    float* to = packed + first * terms;
    for (int64_t t = 0; t < terms; ++t) {
      for (int64_t m = first; m < first + size; ++m) *to++ = weights[m * row_stride + places[t]];
    }
  });
}

void RunPlanes(const PlanesProduct& product) {
  const int64_t widest = DivideUp(product.rows, kMostRows);
  const int most = MostPackets(static_cast<int>(DivideUp(product.rows, widest)));
  // The rows of a block of places, whose values stay in the cache meanwhile.
  const auto run = [&](const Terms& terms, int64_t place, int64_t packets) {
    ForEachBlock(product.rows, kMostRows, [&](int64_t row, int64_t rows) {
      kBlocks[static_cast<size_t>(rows - 1)][static_cast<size_t>(packets - 1)](product, terms, row, place);
    });
  };
  // If the places are no whole packets, the last block overlaps the one before: it then takes all terms at once, when
  // the others are done.
  const int64_t packets = DivideUp(product.count, kPacketSize);
  const bool overlaps = packets * kPacketSize > product.count;
  if (overlaps && packets <= most) {
    run({0, product.terms}, 0, packets - 1);
    return run({0, product.terms}, product.count - kPacketSize, 1);
  }
  int64_t last = 0;
  ForEachBlock(product.terms, kMostTerms, [&](int64_t term, int64_t terms) {
    ForEachBlock(packets, most, [&](int64_t first, int64_t size) {
      const bool waits = overlaps && first + size == packets;
      if (waits) last = size;
      if (!waits) run({term, term + terms}, first * kPacketSize, size);
    });
  });
  if (overlaps) run({0, product.terms}, product.count - last * kPacketSize, last);
}

void AddPlanesDots(const PlanesDots& dots) {
  const int64_t widest = DivideUp(dots.rows, kDotRows);
  const int most = MostTerms(static_cast<int>(DivideUp(dots.rows, widest)));
  ForEachBlock(dots.rows, kDotRows, [&](int64_t row, int64_t rows) {
    ForEachBlock(dots.terms, most, [&](int64_t term, int64_t terms) {
      kDots[static_cast<size_t>(rows - 1)][static_cast<size_t>(terms - 1)](dots, row, term);
    });
  });
}

void AddLanes(const float* sums, int64_t count, const int64_t* places, float* to) {
  for (int64_t i = 0; i < count; ++i) to[places[i]] += Eigen::internal::predux(Load(sums + i * kPacketSize));
}

}  // namespace samovar
