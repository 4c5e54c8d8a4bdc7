// Which layers run backward, and which blobs carry gradients.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "worker/nn/net_graph.h"

namespace samovar {

// Sets needs_backward and propagate_down of every node by Caffe's rule: a layer runs backward if some parameter with
// lr_mult not 0 is in it or below it, a loss is above it, and no propagate_down: false cuts every way between. One that
// would write neither a parameter's gradient nor a bottom's runs none. Returns, in `carries_diff`, one entry a blob.
// UNIMPLEMENTED: a gradient would have to go where none can be computed.
absl::Status PlanGradients(NetGraph* graph, std::vector<bool>* carries_diff);

}  // namespace samovar
