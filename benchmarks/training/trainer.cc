#include "benchmarks/training/trainer.h"

#include <algorithm>
#include <span>

#include "common/base/status_macros.h"
#include "server/store/chunk.h"

namespace samovar {
namespace {

constexpr uint64_t kPieceFloats = 16 << 10;

}  // namespace

absl::StatusOr<std::unique_ptr<Trainer>> Trainer::Create(const TrainingNet& training, int batch_size,
                                                         ThreadPool* pool) {
  auto trainer = std::make_unique<Trainer>();
  trainer->pool_ = pool;
  SAMOVAR_ASSIGN_OR_RETURN(trainer->net_, MakeNet(training, batch_size, pool));
  SAMOVAR_ASSIGN_OR_RETURN(trainer->rule_, SolverRule::Create(training.solver));
  trainer->state_.resize(static_cast<size_t>(trainer->rule_->state_vectors()),
                         std::vector<float>(trainer->net_->weights().size()));
  trainer->CutUp();
  return trainer;
}

void Trainer::CutUp() {
  const v1::ParameterLayout& layout = net_->layout();
  for (uint64_t begin = 0; begin < layout.elements(); begin += kPieceFloats) {
    for (RuleSegment segment : BuildSegments(layout, begin, std::min(layout.elements(), begin + kPieceFloats))) {
      segment.begin += static_cast<uint32_t>(begin);
      segment.end += static_cast<uint32_t>(begin);
      segments_.push_back(segment);
    }
  }
}

absl::Status Trainer::Step() {
  SAMOVAR_RETURN_IF_ERROR(net_->Forward(step_, 1));
  SAMOVAR_RETURN_IF_ERROR(net_->Backward([](uint64_t, uint64_t) {}));
  std::vector<std::span<float>> state(state_.begin(), state_.end());
  // As a server does with as many apply threads: pieces of chunks side by side.
  pool_->ParallelFor(static_cast<int64_t>(segments_.size()), [&](int64_t piece, int) {
    rule_->Apply(step_, segments_[static_cast<size_t>(piece)], net_->weights(), state, net_->gradients());
  });
  ++step_;
  return absl::OkStatus();
}

void RemoveDropout(caffe::NetParameter* net) {
  auto* layers = net->mutable_layer();
  layers->erase(std::remove_if(layers->begin(), layers->end(),
                               [](const caffe::LayerParameter& layer) {
                                 return layer.type() == "Dropout" && layer.bottom(0) == layer.top(0);
                               }),
                layers->end());
}

}  // namespace samovar
