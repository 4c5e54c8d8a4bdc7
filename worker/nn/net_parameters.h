// NetParameters lays out the parameters of a net's layers in one flat vector, shared ones once.
//
// Thread safety: one thread at a time.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "caffe.pb.h"
#include "samovar/v1/layout.pb.h"
#include "worker/nn/net_graph.h"

namespace samovar {

class NetParameters {
 public:
  // The graph outlives it.
  explicit NetParameters(NetGraph* graph) : graph_(graph) {}

  // The parameters of a node that has its layer; in net order. INVALID_ARGUMENT: its param messages do not fit them, or
  // those of layers that share them.
  absl::Status Add(LayerNode* node);

  // Called when the graph has all its nodes, since multipliers are final only then. RESOURCE_EXHAUSTED: no memory for
  // the gradients of shared parameters.
  absl::Status Finish();

 private:
  absl::Status AddParameter(const v1::ParameterBlob& parameter, const caffe::ParamSpec& spec);
  // The parameter is the blob number `owned`. Multipliers may stand in any of the layers that share it, but must agree.
  absl::Status ShareParameter(const LayerNode& node, const v1::ParameterBlob& parameter, const caffe::ParamSpec& spec,
                              int owned);
  absl::Status ShareMultipliers(const caffe::ParamSpec& spec, int owned, const std::string& context);

  NetGraph* const graph_;
  // Blob of the layout that had a parameter's name first.
  std::map<std::string, int> param_owners_;
  // One entry a blob of the layout: lr_mult and decay_mult were written down by a layer.
  std::vector<std::pair<bool, bool>> multipliers_given_;
};

}  // namespace samovar
