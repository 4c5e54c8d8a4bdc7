// BatchNorm (Ioffe and Szegedy: "Batch normalization", 2015), without a scale and shift of its own: y = (x - mean) /
// sqrt(var + eps), for each channel c: axis 1, over m = values / channels places; a bottom of one axis is one channel.
// Parameters: mean sum [C], variance sum [C], scale factor [1]; statistics (Layer::AddStatistic).
//   by the batch     mean, var (divided by m) are the batch's; measured are mean, var * m / (m - 1) (m = 1: var) and 1
//                    dx = (dy - mean(dy) - y * mean(dy * y)) / sqrt(var + eps)
//   by the totals    mean, var are the first two parameters divided by the third (0 if that is 0)
//                    dx = dy / sqrt(var + eps)
// The latter is for phase TEST, or use_global_stats. In a TRAIN net it leaves the parameters as they are: statistics of
// which an update keeps all (moving average fraction 1) and to which it adds 0, so that no rate and no decay of the net
// can move them.
//
// It can do the work of a Scale and of a ReLU above it with the same passes over memory (net_fusion.h): z = max(s * y +
// b, 0). Forward then writes z alone, and Backward computes y and z again from x:
//   dr = dz where z > 0, else 0      ds = sum of dr * y      db = sum of dr      dy = s * dr
#pragma once

#include <cstdint>
#include <optional>

#include "worker/nn/kernels/buffer.h"
#include "worker/nn/kernels/channels.h"
#include "worker/nn/layer.h"

namespace samovar {

class BatchNormLayer : public Layer {
 public:
  // The layers above whose work it does.
  struct Steps {
    // The Scale's parameters are bound after this layer's own: s, and b if there is one.
    bool scale = false;
    bool bias = false;
    bool relu = false;
  };

  BatchNormLayer(const LayerContext& context, bool global, float fraction);

  int64_t channels() const { return view_.channels; }
  // Before Bind, whose tops are those of the last layer that is absorbed.
  void Absorb(const Steps& steps) { absorbed_ = steps; }

  // Backward reads y and never x.
  bool can_work_in_place() const override { return true; }
  bool backward_reads_tops() const override { return !global_; }

  absl::Status Forward(const Pass& pass) override;
  void WriteStatistics() override;
  void Backward(const Pass& pass) override;

 private:
  struct Normal {
    float mean;
    float inverse;
  };
  // The values of one channel become (x - mean) * inverse * scale + bias.
  struct Line {
    float mean;
    float inverse;
    float scale;
    float bias;
  };

  absl::Status Allocate() override;
  void SetNormal(int64_t c, double mean, double variance);
  void Measure(int64_t begin, int64_t end);
  void ReadTotals(int64_t begin, int64_t end);
  // Without layers above.
  void Normalise(int64_t begin, int64_t end);
  void BackwardByBatch(int64_t begin, int64_t end);
  void BackwardByTotals(int64_t begin, int64_t end);
  // With the layers above.
  Line LineOf(int64_t c) const;
  template <bool kRelu>
  void NormaliseAndScale(int64_t begin, int64_t end);
  template <bool kRelu>
  void BackwardWithScale(int64_t begin, int64_t end);

  const Channels view_;
  const bool global_;
  const double eps_;
  std::optional<Steps> absorbed_;
  // Set by the last Forward, one a channel.
  Buffer<Normal> normals_;
  // Set by the last Forward by the batch: the means [C], then the variances [C].
  Buffer<float> measured_;
};

}  // namespace samovar
