#include "worker/nn/peak_flops.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <vector>

#include "worker/nn/kernels/eigen.h"

namespace samovar {
namespace {

using Packet = Eigen::internal::packet_traits<float>::type;
constexpr int kLanes = Eigen::internal::packet_traits<float>::size;

// Independent chains: more than latency times throughput of any CPU's FMA, few enough for the registers.
constexpr int kChains = 10;
constexpr int64_t kSteps = 1 << 20;
constexpr int kTries = 5;

// The result depends on every step, so that none can be left out.
float RunChains() {
  Packet sums[kChains];
  for (int chain = 0; chain < kChains; ++chain) sums[chain] = Eigen::internal::pset1<Packet>(static_cast<float>(chain));
  const Packet factor = Eigen::internal::pset1<Packet>(0.999f);
  const Packet term = Eigen::internal::pset1<Packet>(0.001f);
  for (int64_t step = 0; step < kSteps; ++step) {
    for (Packet& sum : sums) sum = Eigen::internal::pmadd(sum, factor, term);
  }
  float total = 0;
  for (const Packet& sum : sums) total += Eigen::internal::pfirst(sum);
  return total;
}

}  // namespace

double MeasurePeakFlops(ThreadPool* pool) {
  const int threads = pool == nullptr ? 1 : pool->threads();
  std::vector<float> results(static_cast<size_t>(threads));
  double best = 0;
  for (int attempt = 0; attempt < kTries; ++attempt) {
    const auto begin = std::chrono::steady_clock::now();
    if (pool == nullptr) {
      results[0] += RunChains();
    } else {
      pool->ParallelFor(threads, [&](int64_t piece, int) { results[static_cast<size_t>(piece)] += RunChains(); });
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    const double flops = 2.0 * kLanes * kChains * static_cast<double>(kSteps) * threads / seconds;
    // Results that are not finite mean that nothing was measured.
    if (results[0] < 1e30f) best = std::max(best, flops);
  }
  return best;
}

}  // namespace samovar
