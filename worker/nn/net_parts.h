// How a loss of a part of the batch makes up the loss of the whole batch.
//
// In sync mode an iteration is computed in P equal parts, whose gradients and losses are averaged. That is the whole
// batch's gradient where a loss is a mean over the records. One that is a sum over the records counts P times in a
// part; of any other kind the parts' mean is something else, and the net is refused.
#pragma once

#include "absl/status/status.h"
#include "worker/nn/net_graph.h"

namespace samovar {

// For a net of one of `parts` parts: sets LayerNode::loss_factors and NetGraph::output_factors, which are 1 if parts
// is. UNIMPLEMENTED: a loss of the parts does not make up the whole batch's; the message names the layer and a loss
// that does.
absl::Status PlanParts(int parts, NetGraph* graph);

}  // namespace samovar
