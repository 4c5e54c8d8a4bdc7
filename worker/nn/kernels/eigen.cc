#include "worker/nn/kernels/eigen.h"

#include <mutex>

#include "worker/nn/kernels/packet_math.h"

namespace samovar {
void ConfigureEigen() {
  static std::once_flag once;
  std::call_once(once, [] { Eigen::setCpuCacheSizes(32 << 10, 512 << 10, 8 << 20); });
}

void ExpInPlace(float* x, int64_t n) {
  MapPackets(
      n, x, [](const Packet& p) { return IfFinite(p, PacketExp(p)); }, x);
}

void LogInPlace(float* x, int64_t n) {
  MapPackets(
      n, x, [](const Packet& p) { return IfFinite(p, PacketLog(p)); }, x);
}

void Log1pInPlace(float* x, int64_t n) {
  MapPackets(
      n, x, [](const Packet& p) { return IfFinite(p, Eigen::internal::generic_plog1p(p)); }, x);
}

void SigmoidInPlace(float* x, int64_t n) {
  MapPackets(
      n, x, [](const Packet& p) { return IfFinite(p, PacketSigmoid(p)); }, x);
}

void TanhInPlace(float* x, int64_t n) {
  MapPackets(
      n, x, [](const Packet& p) { return IfFinite(p, Eigen::internal::ptanh(p)); }, x);
}

void PowInPlace(float* x, float exponent, int64_t n) {
  const Packet power = Broadcast(exponent);
  MapPackets(
      n, x, [&](const Packet& p) { return IfFinite(p, Eigen::internal::generic_pow(p, power)); }, x);
}

}  // namespace samovar
