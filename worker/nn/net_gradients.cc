#include "worker/nn/net_gradients.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace samovar {
namespace {

// From the data up: what has something to learn in it or below it.
void MarkWanted(NetGraph* graph) {
  std::vector<bool> blob_wanted(graph->blobs.size(), false);
  for (LayerNode& node : graph->nodes) {
    bool wanted = std::find(node.learns.begin(), node.learns.end(), true) != node.learns.end();
    for (size_t i = 0; i < node.bottoms.size(); ++i) {
      const bool below = blob_wanted[node.bottoms[i]];
      wanted = wanted || below;
      const bool given = node.param.propagate_down_size() > 0;
      node.propagate_down.push_back(given ? node.param.propagate_down(static_cast<int>(i)) : below);
    }
    node.needs_backward = wanted;
    for (size_t top : node.tops) blob_wanted[top] = wanted;
  }
}

// From the losses down: what has no loss above it, or only cut ways to it, runs no backward.
void RestrictToLosses(NetGraph* graph) {
  std::vector<bool> under_loss(graph->blobs.size(), false);
  std::vector<bool> cut(graph->blobs.size(), false);
  for (auto node = graph->nodes.rbegin(); node != graph->nodes.rend(); ++node) {
    bool contributes = false;
    bool all_cut = true;
    for (size_t i = 0; i < node->tops.size(); ++i) {
      contributes = contributes || node->loss_weights[i] != 0 || under_loss[node->tops[i]];
      all_cut = all_cut && cut[node->tops[i]];
    }
    if (!contributes || all_cut) node->needs_backward = false;
    for (size_t i = 0; i < node->bottoms.size(); ++i) {
      if (!node->needs_backward) node->propagate_down[i] = false;
      if (contributes) under_loss[node->bottoms[i]] = true;
      if (!node->propagate_down[i]) cut[node->bottoms[i]] = true;
    }
  }
}

absl::Status CheckNode(const NetGraph& graph, const LayerNode& node, const std::vector<bool>& carries_diff) {
  if (!node.needs_backward) return absl::OkStatus();
  const std::string name = absl::StrCat("layer \"", node.param.name(), "\" (", node.param.type(), ")");
  if (!node.layer->has_backward()) {
    return absl::UnimplementedError(absl::StrCat(name, " has no gradient, but a loss depends on it; remove loss_weight"));
  }
  for (size_t i = 0; i < node.bottoms.size(); ++i) {
    if (!node.propagate_down[i] || node.layer->has_gradient_of_bottom(i)) continue;
    return absl::UnimplementedError(absl::StrCat(name, " has no gradient for its bottom \"", graph.blobs[node.bottoms[i]]->name,
                                                 "\"; give it a blob that comes from the data layer, or write propagate_down: false for it"));
  }
  for (size_t i = 0; i < node.tops.size(); ++i) {
    if (!carries_diff[node.tops[i]] || node.layer->has_gradient_through_top(i)) continue;
    return absl::UnimplementedError(absl::StrCat(name, " has no gradient through its top \"", graph.blobs[node.tops[i]]->name,
                                                 "\", but a loss depends on it"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status PlanGradients(NetGraph* graph, std::vector<bool>* carries_diff) {
  MarkWanted(graph);
  RestrictToLosses(graph);
  carries_diff->assign(graph->blobs.size(), false);
  for (const LayerNode& node : graph->nodes) {
    for (size_t i = 0; i < node.bottoms.size(); ++i) {
      if (node.propagate_down[i]) (*carries_diff)[node.bottoms[i]] = true;
    }
    for (size_t i = 0; i < node.tops.size(); ++i) {
      if (node.needs_backward && node.loss_weights[i] != 0) (*carries_diff)[node.tops[i]] = true;
    }
  }
  for (const LayerNode& node : graph->nodes) SAMOVAR_RETURN_IF_ERROR(CheckNode(*graph, node, *carries_diff));
  return absl::OkStatus();
}

}  // namespace samovar
