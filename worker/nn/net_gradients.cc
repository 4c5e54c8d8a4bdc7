#include "worker/nn/net_gradients.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace samovar {
namespace {

// From the data up: the nodes that learn, or have one that learns below.
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

// From the losses down: a node that no gradient reaches, or that would do nothing with one, runs no backward. A blob
// has one reader at most (common/caffe/insert_splits.h), and none if it has a loss weight.
void RestrictToLosses(NetGraph* graph, std::vector<bool>* carries_diff) {
  for (auto node = graph->nodes.rbegin(); node != graph->nodes.rend(); ++node) {
    bool reached = false;
    for (size_t i = 0; i < node->tops.size(); ++i)
      reached = reached || node->loss_weights[i] != 0 || (*carries_diff)[node->tops[i]];
    const bool learns = std::find(node->learns.begin(), node->learns.end(), true) != node->learns.end();
    const bool passes_on =
        std::find(node->propagate_down.begin(), node->propagate_down.end(), true) != node->propagate_down.end();
    node->needs_backward = node->needs_backward && reached && (learns || passes_on);
    for (size_t i = 0; i < node->bottoms.size(); ++i) {
      node->propagate_down[i] = node->propagate_down[i] && node->needs_backward;
      (*carries_diff)[node->bottoms[i]] = node->propagate_down[i];
    }
    for (size_t i = 0; i < node->tops.size(); ++i) {
      if (node->needs_backward && node->loss_weights[i] != 0) (*carries_diff)[node->tops[i]] = true;
    }
  }
}

absl::Status CheckNode(const NetGraph& graph, const LayerNode& node, const std::vector<bool>& carries_diff) {
  if (!node.needs_backward) return absl::OkStatus();
  const std::string name = absl::StrCat(node.place, node.written);
  if (!node.layer->has_backward()) {
    return absl::UnimplementedError(
        absl::StrCat(name, " has no gradient, but a loss depends on it; remove loss_weight"));
  }
  for (size_t i = 0; i < node.bottoms.size(); ++i) {
    if (!node.propagate_down[i] || node.layer->has_gradient_of_bottom(i)) continue;
    return absl::UnimplementedError(
        absl::StrCat(name, " has no gradient for its bottom \"", graph.blobs[node.bottoms[i]]->written_name,
                     "\"; give it a blob that comes from the data layer, or write propagate_down: false for it"));
  }
  for (size_t i = 0; i < node.tops.size(); ++i) {
    if (!carries_diff[node.tops[i]] || node.layer->has_gradient_through_top(i)) continue;
    return absl::UnimplementedError(absl::StrCat(name, " has no gradient through its top \"",
                                                 graph.blobs[node.tops[i]]->written_name,
                                                 "\", but a loss depends on it"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status PlanGradients(NetGraph* graph, std::vector<bool>* carries_diff) {
  carries_diff->assign(graph->blobs.size(), false);
  MarkWanted(graph);
  RestrictToLosses(graph, carries_diff);
  for (const LayerNode& node : graph->nodes) SAMOVAR_RETURN_IF_ERROR(CheckNode(*graph, node, *carries_diff));
  return absl::OkStatus();
}

}  // namespace samovar
