#include "worker/nn/net_fusion.h"

#include <algorithm>
#include <optional>
#include <string>

#include "worker/nn/convolution_layer.h"
#include "worker/nn/pooling_layer.h"

namespace samovar {
namespace {

// The node that reads the only top of `node`, if nothing else is made of that top. Blobs with several readers were split.
LayerNode* OnlyReader(NetGraph* graph, const LayerNode& node) {
  if (node.tops.size() != 1 || node.loss_weights[0] != 0) return nullptr;
  for (LayerNode& reader : graph->nodes) {
    if (std::find(reader.bottoms.begin(), reader.bottoms.end(), node.tops[0]) == reader.bottoms.end()) continue;
    return reader.bottoms.size() == 1 && reader.tops.size() == 1 ? &reader : nullptr;
  }
  return nullptr;
}

bool IsPlainRelu(const LayerNode& node) { return node.param.type() == "ReLU" && node.param.relu_param().negative_slope() == 0; }

void Fuse(NetGraph* graph, LayerNode* node, ConvolutionLayer* convolution) {
  LayerNode* next = OnlyReader(graph, *node);
  LayerNode* const relu = next != nullptr && IsPlainRelu(*next) ? next : nullptr;
  if (relu != nullptr) next = OnlyReader(graph, *relu);
  const auto* pool = next == nullptr ? nullptr : dynamic_cast<const PoolingLayer*>(next->layer.get());
  LayerNode* const last = pool != nullptr ? next : relu;
  if (last == nullptr) return;
  convolution->Absorb(relu != nullptr, pool == nullptr ? std::nullopt : std::optional(PoolStep{pool->window(), pool->max()}));
  if (relu != nullptr) relu->absorbed = true;
  last->absorbed = true;
  node->writes = last->tops;
}

}  // namespace

void FuseLayers(NetGraph* graph) {
  for (LayerNode& node : graph->nodes) {
    if (auto* convolution = dynamic_cast<ConvolutionLayer*>(node.layer.get())) Fuse(graph, &node, convolution);
  }
}

}  // namespace samovar
