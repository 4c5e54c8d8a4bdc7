// PReLU: y = x where x > 0, else a * x; dx = dy where x > 0, else dy * a; da = sum of dy * x where x <= 0.
// a [channels (axis 1)], or one number (no axes) with channel_shared; 0.25 at first unless a filler is given.
#include <utility>

#include "common/base/status_macros.h"
#include "worker/nn/kernels/buffer.h"
#include "worker/nn/kernels/sums.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/elementwise_layer.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

class PReluLayer : public Layer {
 public:
  // Records are [slopes, inner]: with a shared slope there is one, for all of the record.
  PReluLayer(const LayerContext& context, const caffe::FillerParameter& filler)
      : slopes_(context.param.prelu_param().channel_shared() ? 1 : context.bottoms[0][1]),
        inner_(RecordElements(context.bottoms[0]) / slopes_) {
    AddTop(context.bottoms[0]);
    AddParameter(context.param.name(), context.param.prelu_param().channel_shared() ? Shape{} : Shape{slopes_}, filler);
  }

  absl::Status Forward(const Pass& pass) override {
    RunRecords(pass, [&](int64_t record, int64_t) {
      ForEachRow(record * slopes_ * inner_, [&](int64_t begin, int64_t n, const float* slope, int64_t step) {
        const float* x = bottom(0).data + begin;
        float* y = top(0).data + begin;
        ForEach(n, [=](int64_t i) { y[i] = Choose(x[i] > 0, 1, slope[i * step]) * x[i]; });
      });
    });
    return absl::OkStatus();
  }

  void Backward(const Pass& pass) override {
    const bool learns = binding().gradients[0] != nullptr;
    if (learns) std::fill_n(parts_.data(), parts_.size(), 0.0f);
    RunRecords(pass, [&](int64_t record, int64_t piece) {
      if (learns) AddToPart(record * slopes_ * inner_, parts_.data() + piece * slopes_);
      if (binding().propagate_down[0]) DataGradient(record * slopes_ * inner_);
    });
    if (!learns) return;
    float* gradient = binding().gradients[0];
    std::fill_n(gradient, slopes_, 0.0f);
    for (int64_t i = 0; i < parts_.size(); ++i) gradient[i % slopes_] += parts_.data()[i];
  }

 private:
  int per_piece() const { return RecordsPerPiece(static_cast<int>(bottom(0).records())); }

  absl::Status Allocate() override {
    if (binding().gradients[0] == nullptr) return absl::OkStatus();
    return parts_.Allocate(Pieces(bottom(0).records(), per_piece()) * slopes_);
  }

  template <typename Body>
  void RunRecords(const Pass& pass, Body body) {
    pass.loop.Run(bottom(0).records(), per_piece(), [&](int64_t begin, int64_t end, int64_t piece, int) {
      for (int64_t record = begin; record < end; ++record) body(record, piece);
    });
  }

  // body(begin, n, slope, step) for rows of n values from `begin` on; the slope of value i is slope[i * step]. A row
  // has one slope; if each value has its own, a row is the whole record.
  template <typename Body>
  void ForEachRow(int64_t begin, Body body) const {
    const float* slopes = binding().weights[0];
    if (inner_ == 1) return body(begin, slopes_, slopes, 1);
    for (int64_t row = 0; row < slopes_; ++row) body(begin + row * inner_, inner_, slopes + row, 0);
  }

  void DataGradient(int64_t begin) {
    ForEachRow(begin, [&](int64_t row, int64_t n, const float* slope, int64_t step) {
      const float* x = bottom(0).data + row;
      const float* dy = top(0).diff + row;
      float* dx = bottom(0).diff + row;
      ForEach(n, [=](int64_t i) { dx[i] = Choose(x[i] > 0, 1, slope[i * step]) * dy[i]; });
    });
  }

  // Adds the record's share of the slopes' gradients.
  void AddToPart(int64_t begin, float* part) {
    const float* x = bottom(0).data + begin;
    const float* dy = top(0).diff + begin;
    for (int64_t slope = 0; slope < slopes_; ++slope, x += inner_, dy += inner_) {
      part[slope] += SumOf<float>(inner_, [=](int64_t i) { return Choose(x[i] > 0, 0, dy[i] * x[i]); });
    }
  }

  const int64_t slopes_;
  const int64_t inner_;
  // Sums of the pieces: [pieces, slopes].
  Buffer<float> parts_;
};

}  // namespace

LayerOr CreatePReluLayer(const LayerContext& context) {
  const caffe::PReLUParameter& prelu = context.param.prelu_param();
  SAMOVAR_RETURN_IF_ERROR(CheckFields(prelu, "prelu_param", {"filler", "channel_shared"}));
  if (context.bottoms[0].size() < 2) {
    return absl::InvalidArgumentError("the bottom has no axis of channels; PReLU needs two axes or more");
  }
  caffe::FillerParameter filler = prelu.filler();
  if (!prelu.has_filler()) filler.set_value(0.25f);
  return std::make_unique<PReluLayer>(context, filler);
}

}  // namespace samovar
