// Silence: reads its bottoms, so that they are no outputs of the net, and does nothing. It has no tops, hence no
// gradient.
#include "worker/nn/layer_factories.h"

namespace samovar {
namespace {

class SilenceLayer : public Layer {
 public:
  bool has_backward() const override { return false; }
  absl::Status Forward(const Pass&) override { return absl::OkStatus(); }
  void Backward(const Pass&) override {}
};

}  // namespace

LayerOr CreateSilenceLayer(const LayerContext&) { return std::make_unique<SilenceLayer>(); }

}  // namespace samovar
