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
//
// The convolutions right below and above it can then do its passes over memory while a record is in the cache
// (net_fusion.h): the one below measures x, the one above makes z of x again wherever it reads it, sums up the
// gradients, and the one below makes dx of dz wherever it reads that. What is left here is the sum over records.
// Without gradients, by the totals, the convolution below writes z over x.
#pragma once

#include <cstdint>
#include <optional>

#include "worker/nn/kernels/buffer.h"
#include "worker/nn/kernels/channels.h"
#include "worker/nn/kernels/plane_normal.h"
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

  // The passes that convolutions do for it, with the functions of a record below.
  struct Neighbours {
    // The one below calls MeasureRecord in its forward pass; instead of reading bottom 0's diff it calls WriteInDiff.
    bool measured = false;
    bool differentiated = false;
    // The one below calls ReadTotals before its forward pass, and NormaliseRecord after each record of it, in place.
    bool normalised_below = false;
    // The one above calls NormaliseRecord instead of reading top 0; SumRecord in its backward pass.
    bool normalised_above = false;
    bool summed = false;
  };

  int64_t channels() const { return view_.channels; }
  // Its channels are whole planes, and it does the work of a Scale or a ReLU.
  bool can_have_neighbours() const { return absorbed_ && view_.inner > 1; }
  // The batch's statistics are those that it normalises by.
  bool by_batch() const { return !global_; }
  // Before Bind, whose tops are those of the last layer that is absorbed.
  void Absorb(const Steps& steps) { absorbed_ = steps; }
  // Before Bind. REQUIRES: can_have_neighbours()
  void SetNeighbours(const Neighbours& neighbours) { neighbours_ = neighbours; }

  // The channels [begin, end) of one record, whose planes of x, or of dz, are written. For different records or
  // channels at any time, from any thread.
  void MeasureRecord(int64_t record, int64_t begin, int64_t end);
  // Writes z, which may be x in place.
  void NormaliseRecord(int64_t record, int64_t begin, int64_t end, float* z) const;
  void SumRecord(int64_t record, int64_t begin, int64_t end);
  // After Backward.
  void WriteInDiff(int64_t record, int64_t begin, int64_t end, float* dx) const;
  // Takes mean and variance of all channels from the parameters. REQUIRES: !by_batch()
  void ReadTotals();

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

  absl::Status Allocate() override;
  void SetNormal(int64_t c, double mean, double variance);
  void SetMeasured(int64_t c, double mean, double variance);
  void Measure(const Pass& pass);
  // The same of vectors.
  void MeasureVectors(int64_t begin, int64_t end);
  // Without layers above.
  void Normalise(int64_t begin, int64_t end);
  void BackwardByBatch(int64_t begin, int64_t end);
  void BackwardByTotals(int64_t begin, int64_t end);
  // With the layers above.
  PlaneLine LineOf(int64_t c) const;
  void WriteScaleGradients(int64_t c, const PlaneSums& sums);
  PlaneMeans MeansOf(int64_t c, const PlaneSums& sums) const;
  // Planes.
  int64_t plane(int64_t record, int64_t c) const { return record * view_.channels + c; }
  // body(record, first channel, end) for all planes.
  template <typename Body>
  void ForPlanes(const Pass& pass, Body body);
  void BackwardPlanes(const Pass& pass);
  // Vectors.
  template <bool kRelu>
  void ForwardVectors(int64_t begin, int64_t end);
  template <bool kRelu>
  void BackwardVectors(int64_t begin, int64_t end);

  const Channels view_;
  const bool global_;
  const double eps_;
  std::optional<Steps> absorbed_;
  Neighbours neighbours_;
  // Set by the last Forward, one a channel.
  Buffer<Normal> normals_;
  // Set by the last Forward by the batch: the means [C], then the variances [C].
  Buffer<float> measured_;
  // One entry a plane: set by MeasureRecord, SumRecord.
  Buffer<PlaneMoments> moments_;
  Buffer<PlaneSums> sums_;
  // Set by the last Backward, one a channel.
  Buffer<PlaneMeans> means_;
};

}  // namespace samovar
