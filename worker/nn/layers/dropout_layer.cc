// Dropout: TRAIN: y = x * m with m = 1 / (1 - dropout_ratio) with probability 1 - dropout_ratio, else 0; dx = dy * m.
// TEST: y = x. In place or not.
//
// m is a pure function of seed, iteration, layer, the record's number in the iteration and the value's place in the
// record: it does not depend on threads, nor on how the iteration is cut into passes. Backward computes it again, which
// takes less than the memory that a mask of every value would.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "worker/nn/kernels/random_bits.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/elementwise_layer.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

constexpr long long kMaxThreshold = 0xFFFFFFFF;

class DropoutLayer : public Layer {
 public:
  DropoutLayer(const LayerContext& context, float ratio)
      : number_(context.number),
        train_(context.phase == caffe::TRAIN),
        scale_(1 / (1 - ratio)),
        threshold_(
            static_cast<uint32_t>(std::min(std::llround(static_cast<double>(ratio) * 0x1.0p32), kMaxThreshold))) {
    AddTop(context.bottoms[0]);
  }

  bool can_work_in_place() const override { return true; }

  absl::Status Forward(const Pass& pass) override {
    if (train_) {
      Apply(pass, bottom(0).data, top(0).data);
    } else {
      CopyValues(bottom(0).data, top(0).data, top(0).elements());
    }
    return absl::OkStatus();
  }

  void Backward(const Pass& pass) override { Apply(pass, top(0).diff, bottom(0).diff); }

 private:
  // out = in * m; they may be the same. Records are cut into slices, so that few large ones are shared among threads
  // too.
  void Apply(const Pass& pass, const float* in, float* out) {
    constexpr int64_t kSlice = 4096;
    constexpr int64_t kElementsPerPiece = 32 << 10;
    const int64_t count = top(0).record_elements();
    const int64_t slices = Pieces(count, kSlice);
    const uint64_t key = DeriveKey(RandomStream::kDropout, {pass.seed, pass.iteration, number_});
    pass.loop.Run(top(0).records() * slices, std::max<int64_t>(1, kElementsPerPiece / std::min(count, kSlice)),
                  [&](int64_t begin, int64_t end, int64_t, int) {
                    for (int64_t i = begin; i < end; ++i) {
                      const int64_t record = i / slices;
                      const int64_t first = i % slices * kSlice;
                      const int64_t offset = record * count;
                      ApplySlice(key, pass.first_record + static_cast<uint64_t>(record), first,
                                 std::min(count, first + kSlice), in + offset, out + offset);
                    }
                  });
  }

  // Values [first, last) of one record; first is a multiple of kRandomBits. Value i has number i % 4 of counter i / 4.
  void ApplySlice(uint64_t key, uint64_t record, int64_t first, int64_t last, const float* in, float* out) const {
    uint32_t bits[kRandomBits];
    for (int64_t i = first; i < last; i += kRandomBits) {
      RandomBits(key, record, static_cast<uint64_t>(i / 4), bits);
      const float* const x = in + i;
      float* const y = out + i;
      ForEach(std::min(kRandomBits, last - i), [=, threshold = threshold_, scale = scale_, &bits](int64_t k) {
        y[k] = x[k] * Choose(bits[k] >= threshold, scale, 0);
      });
    }
  }

  const uint64_t number_;
  const bool train_;
  const float scale_;
  // A value is kept if its 32 random bits are at least this.
  const uint32_t threshold_;
};

}  // namespace

LayerOr CreateDropoutLayer(const LayerContext& context) {
  const caffe::DropoutParameter& dropout = context.param.dropout_param();
  SAMOVAR_RETURN_IF_ERROR(CheckFields(dropout, "dropout_param", {"dropout_ratio"}));
  // Written so that NaN fails.
  if (!(dropout.dropout_ratio() >= 0 && dropout.dropout_ratio() < 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("dropout_param.dropout_ratio is ", dropout.dropout_ratio(), "; give 0 or more, and less than 1"));
  }
  return std::make_unique<DropoutLayer>(context, dropout.dropout_ratio());
}

}  // namespace samovar
