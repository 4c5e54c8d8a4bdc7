// Clip: y = min(max(x, min), max); dx = dy where min <= x <= max, else 0. NaN stays NaN.
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/elementwise_layer.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

struct Clip {
  float min;
  float max;

  BackwardReads reads() const { return BackwardReads::kBottom; }
  void Forward(const float* x, float* y, int64_t n) const {
    ForEach(n, [=, this](int64_t i) { y[i] = x[i] < min ? min : x[i] > max ? max : x[i]; });
  }
  void Backward(const float* x, const float* dy, float* dx, int64_t n) const {
    ForEach(n, [=, this](int64_t i) { dx[i] = x[i] >= min && x[i] <= max ? dy[i] : 0; });
  }
};

}  // namespace

LayerOr CreateClipLayer(const LayerContext& context) {
  const caffe::ClipParameter& clip = context.param.clip_param();
  SAMOVAR_RETURN_IF_ERROR(CheckFields(clip, "clip_param", {"min", "max"}));
  if (!clip.has_min() || !clip.has_max()) return absl::InvalidArgumentError("clip_param: give both min and max");
  // Written so that NaN fails.
  if (!(clip.min() <= clip.max())) {
    return absl::InvalidArgumentError(
        absl::StrCat("clip_param.min is ", clip.min(), " and max ", clip.max(), "; min must not be above max"));
  }
  return MakeElementwise(context, Clip{clip.min(), clip.max()});
}

}  // namespace samovar
