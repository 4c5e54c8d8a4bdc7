#include "worker/nn/net_fusion.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "worker/nn/layers/batch_norm_layer.h"
#include "worker/nn/layers/convolution_layer.h"
#include "worker/nn/layers/eltwise_layer.h"
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

// The layer does the work of those above.
void Absorb(NetGraph* graph, size_t layer, const std::vector<LayerNode*>& absorbed) {
  LayerNode& node = graph->nodes[layer];
  for (LayerNode* above : absorbed) {
    above->absorbed_by = layer;
    node.absorbs.push_back(static_cast<size_t>(above - graph->nodes.data()));
  }
  node.writes = absorbed.back()->tops;
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
  Absorb(graph, layer, absorbed);
}

bool IsShared(const NetGraph& graph, const LayerNode& node) {
  return std::any_of(graph.shared.begin(), graph.shared.end(), [&](const auto& shared) {
    return std::find(node.parameters.begin(), node.parameters.end(), shared->blob) != node.parameters.end();
  });
}

// Whether the layer is a Scale with a factor of its own for each channel, and maybe a summand.
bool ScalesChannels(const NetGraph& graph, const LayerNode& node, int64_t channels) {
  if (node.param.type() != "Scale" || node.bottoms.size() != 1 || IsShared(graph, node)) return false;
  const int axes = static_cast<int>(graph.blobs[node.bottoms[0]]->shape.size());
  const int axis = node.param.scale_param().axis();
  const v1::ParameterBlob& scale = node.layer->parameters()[0];
  return axes >= 2 && (axis == 1 || axis + axes == 1) && scale.shape_size() == 1 && scale.shape(0) == channels;
}

// A layer without a backward pass of its own has none for one above that has.
bool FitsBackward(const LayerNode& node, const LayerNode* above) {
  return above != nullptr && above->needs_backward == node.needs_backward;
}

// A sum and a ReLU.
void Fuse(NetGraph* graph, size_t layer, EltwiseLayer* eltwise) {
  const LayerNode& node = graph->nodes[layer];
  LayerNode* const next = OnlyReader(graph, node);
  if (!eltwise->is_sum() || !FitsBackward(node, next) || !IsPlainRelu(*next)) return;
  eltwise->AbsorbRelu();
  Absorb(graph, layer, {next});
}

// BatchNorm, Scale and ReLU, or two of them.
void Fuse(NetGraph* graph, size_t layer, BatchNormLayer* norm) {
  LayerNode& node = graph->nodes[layer];
  BatchNormLayer::Steps steps;
  std::vector<LayerNode*> absorbed;
  LayerNode* next = OnlyReader(graph, node);
  if (FitsBackward(node, next) && ScalesChannels(*graph, *next, norm->channels())) {
    steps.scale = true;
    steps.bias = next->layer->parameters().size() > 1;
    absorbed.push_back(next);
    next = OnlyReader(graph, *next);
  }
  if (FitsBackward(node, next) && IsPlainRelu(*next)) {
    steps.relu = true;
    absorbed.push_back(next);
  }
  if (absorbed.empty()) return;
  // Backward reads what is below again.
  const auto memory_of = [graph](size_t blob) { return graph->blob_memory[blob].data; };
  if (node.needs_backward && memory_of(absorbed.back()->tops[0]) == memory_of(node.bottoms[0])) return;
  norm->Absorb(steps);
  Absorb(graph, layer, absorbed);
}

// The node whose only top is this blob.
LayerNode* WriterOf(NetGraph* graph, size_t blob) {
  const auto writes = [blob](const LayerNode& node) { return node.tops == std::vector<size_t>{blob}; };
  const auto found = std::find_if(graph->nodes.begin(), graph->nodes.end(), writes);
  return found == graph->nodes.end() ? nullptr : &*found;
}

ConvolutionLayer* ConvolutionOf(LayerNode* node) {
  return node == nullptr ? nullptr : dynamic_cast<ConvolutionLayer*>(node->layer.get());
}

// All blobs with the memory of `blob` get that of `other`.
void ShareMemory(NetGraph* graph, size_t BlobMemory::*member, size_t blob, size_t other) {
  const size_t from = graph->blob_memory[blob].*member, to = graph->blob_memory[other].*member;
  for (BlobMemory& memory : graph->blob_memory) {
    if (memory.*member == from) memory.*member = to;
  }
}

// The convolutions right below and above a BatchNorm do its passes over memory. x and z are its bottom and the top of
// the last layer that it has absorbed: one of them is not written then, and has the other's memory.
void JoinNeighbours(NetGraph* graph, LayerNode* node, BatchNormLayer* norm) {
  const size_t x = node->bottoms[0], z = node->writes[0];
  LayerNode* const writer = WriterOf(graph, x);
  ConvolutionLayer* below = ConvolutionOf(writer);
  if (below != nullptr && (below->has_absorbed() || OnlyReader(graph, *writer) != node)) below = nullptr;
  LayerNode* const reader = OnlyReader(graph, *WriterOf(graph, z));
  ConvolutionLayer* const above = ConvolutionOf(reader);
  BatchNormLayer::Neighbours neighbours;
  if (below != nullptr && norm->by_batch()) {
    neighbours.measured = true;
    below->norms().measured = norm;
  }
  if (below != nullptr && node->needs_backward && node->propagate_down[0]) {
    neighbours.differentiated = true;
    below->norms().differentiated = norm;
    ShareMemory(graph, &BlobMemory::diff, x, z);
  }
  if (below != nullptr && !norm->by_batch() && !node->needs_backward) {
    neighbours.normalised_below = true;
    below->norms().normalised = norm;
    ShareMemory(graph, &BlobMemory::data, z, x);
    graph->unwritten.insert(x);
  } else if (above != nullptr) {
    neighbours.normalised_above = true;
    neighbours.summed = node->needs_backward;
    above->norms().below = norm;
    above->norms().sums_below = node->needs_backward;
    ShareMemory(graph, &BlobMemory::data, z, x);
    graph->unwritten.insert(z);
  }
  norm->SetNeighbours(neighbours);
}

// The node that writes this blob, alone.
LayerNode* WorkerFor(NetGraph* graph, size_t blob) {
  const auto writes = [blob](const LayerNode& node) {
    return !node.absorbed_by && (node.writes.empty() ? node.tops : node.writes) == std::vector<size_t>{blob};
  };
  const auto found = std::find_if(graph->nodes.begin(), graph->nodes.end(), writes);
  return found == graph->nodes.end() ? nullptr : &*found;
}

bool JoinsChannels(const NetGraph& graph, const LayerNode& node) {
  if (node.param.type() != "Concat") return false;
  int64_t channels = 0;
  for (const size_t bottom : node.bottoms) {
    const Shape& shape = graph.blobs[bottom]->shape;
    if (shape.size() < 2) return false;
    channels += shape[1];
  }
  return channels == graph.blobs[node.tops[0]]->shape[1];
}

// Whether a layer writes other values over the blob's, in place.
bool IsWrittenOver(const NetGraph& graph, size_t blob) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(), [&](const LayerNode& node) {
    return node.param.type() != "Split" && std::any_of(node.tops.begin(), node.tops.end(), [&](size_t top) {
             return top != blob && graph.blob_memory[top].data == graph.blob_memory[blob].data;
           });
  });
}

// The blob, and those that share its memory, are to lie within another blob, from this float on.
void MoveInto(NetGraph* graph, size_t blob, size_t whole, int64_t offset) {
  const BlobMemory from = graph->blob_memory[blob], to = graph->blob_memory[whole];
  for (BlobMemory& memory : graph->blob_memory) {
    if (memory.data != from.data) continue;
    memory = {to.data, to.diff, offset};
  }
  graph->unwritten.insert(blob);
}

// Convolutions below a Concat of channels write where their tops belong in its top, and read their gradients there.
void JoinTops(NetGraph* graph, const LayerNode& concat) {
  const size_t whole = concat.tops[0];
  const bool written_over = IsWrittenOver(*graph, whole);
  int64_t offset = 0;
  for (const size_t bottom : concat.bottoms) {
    LayerNode* const below = WorkerFor(graph, bottom);
    ConvolutionLayer* const convolution = ConvolutionOf(below);
    // Backward reads the top again.
    const bool reads = below != nullptr && below->needs_backward && written_over;
    if (convolution != nullptr && convolution->can_lie_within() && !reads) {
      convolution->LieWithin(graph->blobs[whole]->record_elements());
      MoveInto(graph, bottom, whole, offset);
    }
    offset += graph->blobs[bottom]->record_elements();
  }
}

}  // namespace

void FuseLayers(NetGraph* graph) {
  for (size_t i = 0; i < graph->nodes.size(); ++i) {
    Layer* const layer = graph->nodes[i].layer.get();
    if (auto* convolution = dynamic_cast<ConvolutionLayer*>(layer)) Fuse(graph, i, convolution);
    if (auto* norm = dynamic_cast<BatchNormLayer*>(layer)) Fuse(graph, i, norm);
    if (auto* eltwise = dynamic_cast<EltwiseLayer*>(layer)) Fuse(graph, i, eltwise);
  }
  for (LayerNode& node : graph->nodes) {
    auto* const norm = dynamic_cast<BatchNormLayer*>(node.layer.get());
    if (norm != nullptr && norm->can_have_neighbours()) JoinNeighbours(graph, &node, norm);
  }
  for (const LayerNode& node : graph->nodes) {
    if (JoinsChannels(*graph, node)) JoinTops(graph, node);
  }
}

}  // namespace samovar
