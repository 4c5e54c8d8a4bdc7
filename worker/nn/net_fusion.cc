#include "worker/nn/net_fusion.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "worker/nn/layers/convolution_layer.h"
#include "worker/nn/layers/pooling_layer.h"

namespace samovar {
namespace {

// The node that reads the only top of `node`, if nothing else is made of that top. Blobs with several readers were
// split.
LayerNode* OnlyReader(NetGraph* graph, const LayerNode& node) {
  if (node.tops.size() != 1 || node.loss_weights[0] != 0) return nullptr;
  for (LayerNode& reader : graph->nodes) {
    if (std::find(reader.bottoms.begin(), reader.bottoms.end(), node.tops[0]) == reader.bottoms.end()) continue;
    return reader.bottoms.size() == 1 && reader.tops.size() == 1 ? &reader : nullptr;
  }
  return nullptr;
}

bool IsPlainRelu(const LayerNode& node) {
  return node.param.type() == "ReLU" && node.param.relu_param().negative_slope() == 0;
}

void Fuse(NetGraph* graph, size_t layer, ConvolutionLayer* convolution) {
  LayerNode& node = graph->nodes[layer];
  AbsorbedSteps steps;
  std::vector<LayerNode*> absorbed;
  LayerNode* next = OnlyReader(graph, node);
  if (next != nullptr && IsPlainRelu(*next)) {
    steps.relu = true;
    absorbed.push_back(next);
    next = OnlyReader(graph, *next);
  }
  const auto* pool = next == nullptr ? nullptr : dynamic_cast<const PoolingLayer*>(next->layer.get());
  if (pool != nullptr) {
    steps.pool = PoolStep{pool->window(), pool->max()};
    absorbed.push_back(next);
    next = OnlyReader(graph, *next);
    if (!steps.relu && next != nullptr && IsPlainRelu(*next)) {
      steps.relu_of_pool = true;
      absorbed.push_back(next);
    }
  }
  if (absorbed.empty()) return;
  convolution->Absorb(std::move(steps));
  for (LayerNode* above : absorbed) above->absorbed_by = layer;
  node.writes = absorbed.back()->tops;
}

}  // namespace

void FuseLayers(NetGraph* graph) {
  for (size_t i = 0; i < graph->nodes.size(); ++i) {
    if (auto* convolution = dynamic_cast<ConvolutionLayer*>(graph->nodes[i].layer.get())) Fuse(graph, i, convolution);
  }
}

}  // namespace samovar
