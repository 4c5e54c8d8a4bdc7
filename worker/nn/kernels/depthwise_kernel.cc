#include "worker/nn/kernels/depthwise_kernel.h"

#include <algorithm>
#include <numeric>

namespace samovar {
namespace {

constexpr int kSide = DepthwisePlan::kSide, kTaps = DepthwisePlan::kTaps;

// The lanes i with of(i).
template <typename Of>
LaneMask LanesThat(Of of) {
  uint32_t bits = 0;
  for (int64_t lane = 0; lane < kPacketSize; ++lane) {
    if (of(lane)) bits |= uint32_t{1} << lane;
  }
  return LanesOf(bits);
}

// body(packet, load) for each packet of the plane, where load(tap) is the input that the tap sees.
template <typename Body>
void ForEachPacket(const DepthwisePlan& plan, const float* in, Body body) {
  const int64_t* const shifts = plan.shifts.data();
  const LaneMask* edge = plan.edge_masks.data();
  const auto at_edge = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i, edge += kTaps)
      body(i, [&](int tap) { return LoadLanes(edge[tap], in + i * kPacketSize + shifts[tap]); });
  };
  at_edge(0, plan.inner_begin);
  int64_t phase = plan.inner_begin % plan.period;
  for (int64_t i = plan.inner_begin; i < plan.inner_end; ++i) {
    const LaneMask* const columns = plan.column_masks.data() + phase * kSide;
    body(i, [&](int tap) {
      const float* const from = in + i * kPacketSize + shifts[tap];
      return tap % kSide == 1 ? Load(from) : LoadLanes(columns[tap % kSide], from);
    });
    phase = phase + 1 == plan.period ? 0 : phase + 1;
  }
  at_edge(plan.inner_end, plan.packets);
}

}  // namespace

bool DepthwisePlan::Suits(const Window& w) {
  const bool same = w.kernel_h == kSide && w.kernel_w == kSide && w.pad_h == 1 && w.pad_w == 1 && w.stride_h == 1 &&
                    w.stride_w == 1 && w.dilation_h == 1 && w.dilation_w == 1;
  return kPacketSize >= 8 && w.channels == 1 && same;
}

DepthwisePlan::DepthwisePlan(const Window& w)
    : height(w.in_h),
      width(w.in_w),
      packets(PacketsFor(height * width)),
      inner_begin(std::min(packets, PacketsFor(width))),
      inner_end(std::max(inner_begin, (height - 1) * width / kPacketSize)),
      period(std::lcm(width, kPacketSize) / kPacketSize),
      last(FirstLanes(height * width - (packets - 1) * kPacketSize)) {
  for (int kh = 0; kh < kSide; ++kh) {
    for (int kw = 0; kw < kSide; ++kw) shifts.push_back((kh - 1) * width + kw - 1);
  }
  const auto in_columns = [this](int64_t place, int tap) {
    const int64_t x = place % width + tap % kSide - 1;
    return x >= 0 && x < width;
  };
  const auto in_plane = [&](int64_t place, int tap) {
    const int64_t y = place / width + tap / kSide - 1;
    return place < height * width && y >= 0 && y < height && in_columns(place, tap);
  };
  for (int64_t i = 0; i < period && inner_begin < inner_end; ++i) {
    for (int kw = 0; kw < kSide; ++kw)
      column_masks.push_back(LanesThat([&](int64_t lane) { return in_columns(i * kPacketSize + lane, kw); }));
  }
  for (int64_t i = 0; i < packets; ++i) {
    if (i >= inner_begin && i < inner_end) continue;
    for (int tap = 0; tap < kTaps; ++tap)
      edge_masks.push_back(LanesThat([&](int64_t lane) { return in_plane(i * kPacketSize + lane, tap); }));
  }
}

void CorrelatePlane(const DepthwisePlan& plan, const float* in, const float* weights, bool flipped, float bias,
                    float* out) {
  Packet weight[kTaps];
  for (int tap = 0; tap < kTaps; ++tap) weight[tap] = Broadcast(weights[flipped ? kTaps - 1 - tap : tap]);
  ForEachPacket(plan, in, [&](int64_t i, auto load) {
    Packet sum = Broadcast(bias);
#pragma GCC unroll 9
    for (int tap = 0; tap < kTaps; ++tap) sum = MulAdd(weight[tap], load(tap), sum);
    float* const to = out + i * kPacketSize;
    i + 1 == plan.packets ? StoreLanes(plan.last, to, sum) : Store(to, sum);
  });
}

void AddPlaneDots(const DepthwisePlan& plan, const float* in, const float* diff, float* sums) {
  Packet sum[kTaps];
#pragma GCC unroll 9
  for (int tap = 0; tap < kTaps; ++tap) sum[tap] = Load(sums + tap * kPacketSize);
  ForEachPacket(plan, in, [&](int64_t i, auto load) {
    const float* const from = diff + i * kPacketSize;
    const Packet value = i + 1 == plan.packets ? LoadLanes(plan.last, from) : Load(from);
#pragma GCC unroll 9
    for (int tap = 0; tap < kTaps; ++tap) sum[tap] = MulAdd(value, load(tap), sum[tap]);
  });
#pragma GCC unroll 9
  for (int tap = 0; tap < kTaps; ++tap) Store(sums + tap * kPacketSize, sum[tap]);
}

}  // namespace samovar
