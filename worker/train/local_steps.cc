#include "worker/train/local_steps.h"

#include <algorithm>

#include "common/base/vector_level.h"
#include "common/model/layout.h"
#include "common/model/learning_rate.h"
#include "common/model/weight_decay.h"

namespace samovar {
namespace {

// The floats of one blob.
struct BlobPass {
  size_t count = 0;
  const float* gradients = nullptr;
  float* weights = nullptr;
  float* displacement = nullptr;
};

template <Decay kKind>
void Move(const BlobPass& pass, float rate, float decay) {
  AtVectorLevel([pass, rate, decay] {
    const float* __restrict gradients = pass.gradients;
    float* __restrict weights = pass.weights;
    float* __restrict displacement = pass.displacement;
    for (size_t i = 0; i < pass.count; ++i) {
      const float update = rate * Decayed<kKind>(gradients[i], weights[i], decay);
      displacement[i] += update;
      weights[i] -= update;
    }
  });
}

void Merge(const BlobPass& pass, float fraction) {
  for (size_t i = 0; i < pass.count; ++i) {
    pass.displacement[i] = fraction * pass.displacement[i] + pass.gradients[i];
    pass.weights[i] = fraction * pass.weights[i] + pass.gradients[i];
  }
}

}  // namespace

LocalSteps::LocalSteps(const caffe::SolverParameter& solver, const v1::ParameterLayout& layout)
    : solver_(solver), layout_(layout), displacement_(layout.elements()) {}

void LocalSteps::Begin() { std::fill(displacement_.begin(), displacement_.end(), 0.0f); }

void LocalSteps::Step(uint64_t t, std::span<const float> gradients, std::span<float> weights) {
  const float rate = static_cast<float>(LearningRate(solver_, t));
  for (const v1::ParameterBlob& blob : layout_.blobs()) MoveBlob(blob, rate, gradients, weights);
}

void LocalSteps::MoveBlob(const v1::ParameterBlob& blob, float rate, std::span<const float> gradients,
                          std::span<float> weights) {
  const uint64_t begin = blob.offset();
  const BlobPass pass = {BlobElements(blob), gradients.data() + begin, weights.data() + begin,
                         displacement_.data() + begin};
  if (blob.rule() == v1::UPDATE_RULE_MOVING_AVERAGE) return Merge(pass, blob.moving_average_fraction());
  const float blob_rate = rate * blob.lr_mult();
  const float decay = solver_.weight_decay() * blob.decay_mult();
  switch (DecayOf(solver_, decay)) {
    case Decay::kNone:
      return Move<Decay::kNone>(pass, blob_rate, decay);
    case Decay::kL1:
      return Move<Decay::kL1>(pass, blob_rate, decay);
    case Decay::kL2:
      return Move<Decay::kL2>(pass, blob_rate, decay);
  }
}

}  // namespace samovar
