// The memory of a net's blobs: blobs that are never needed at the same time share it.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "worker/nn/net_graph.h"

namespace samovar {

// Gives each blob that some layer reads or writes its data, and each that carries a gradient its diff, in one mapping.
// After layers are fused (net_fusion.h), before they are bound.
//   Diffs are needed from the backward pass of the layer above to that of the layer below, and share memory.
//   Data are needed by the backward pass, which is why those of a TRAIN net share none. In a TEST net they are needed
//   until the last layer that reads them has run, unless `keep_data`; outputs stay, and what comes from layers
//   without bottoms. Blobs whose memory another one may take are marked in NetGraph::overwritten.
// One entry a blob in `carries_diff`. RESOURCE_EXHAUSTED: the system gives no memory.
absl::Status AllocateBlobs(const std::vector<bool>& carries_diff, bool keep_data, NetGraph* graph);

}  // namespace samovar
