#include "worker/nn/kernels/eigen.h"

#include <algorithm>
#include <mutex>

namespace samovar {
namespace {

using Packet = Eigen::internal::packet_traits<float>::type;
constexpr int64_t kPacket = Eigen::internal::packet_traits<float>::size;

// The last, incomplete packet goes through a buffer: Eigen's array expressions would call the C library for it.
template <typename Function>
void ApplyByPackets(float* x, int64_t n, Function function) {
  int64_t i = 0;
  for (; i + kPacket <= n; i += kPacket) {
    Eigen::internal::pstoreu(x + i, function(Eigen::internal::ploadu<Packet>(x + i)));
  }
  if (i == n) return;
  float rest[kPacket];
  std::fill(rest, rest + kPacket, 1.0f);
  std::copy(x + i, x + n, rest);
  Eigen::internal::pstoreu(rest, function(Eigen::internal::ploadu<Packet>(rest)));
  std::copy(rest, rest + (n - i), x + i);
}

// The value, or NaN where x is not finite: x - x is 0, or NaN.
Packet IfFinite(const Packet& x, const Packet& value) {
  return Eigen::internal::padd(value, Eigen::internal::psub(x, x));
}

}  // namespace

void ConfigureEigen() {
  static std::once_flag once;
  std::call_once(once, [] { Eigen::setCpuCacheSizes(32 << 10, 512 << 10, 8 << 20); });
}

void ExpInPlace(float* x, int64_t n) {
  ApplyByPackets(x, n, [](const Packet& p) { return IfFinite(p, Eigen::internal::pexp(p)); });
}

void LogInPlace(float* x, int64_t n) {
  ApplyByPackets(x, n, [](const Packet& p) { return IfFinite(p, Eigen::internal::plog(p)); });
}

void Log1pInPlace(float* x, int64_t n) {
  ApplyByPackets(x, n, [](const Packet& p) { return IfFinite(p, Eigen::internal::generic_plog1p(p)); });
}

void SigmoidInPlace(float* x, int64_t n) {
  ApplyByPackets(x, n, [](const Packet& p) {
    const Packet one = Eigen::internal::pset1<Packet>(1.0f);
    const Packet power = Eigen::internal::pexp(Eigen::internal::pnegate(p));
    return IfFinite(p, Eigen::internal::pdiv(one, Eigen::internal::padd(one, power)));
  });
}

void TanhInPlace(float* x, int64_t n) {
  ApplyByPackets(x, n, [](const Packet& p) { return IfFinite(p, Eigen::internal::ptanh(p)); });
}

void PowInPlace(float* x, float exponent, int64_t n) {
  const Packet power = Eigen::internal::pset1<Packet>(exponent);
  ApplyByPackets(x, n, [&](const Packet& p) { return IfFinite(p, Eigen::internal::generic_pow(p, power)); });
}

}  // namespace samovar
