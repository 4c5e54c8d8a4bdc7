// Which layers do the work of those above them.
#pragma once

#include "worker/nn/net_graph.h"

namespace samovar {

// Lets each convolution absorb the ReLU and the pool right above it (convolution_layer.h), each BatchNorm the Scale of
// its channels and the ReLU (batch_norm_layer.h), and each sum of blobs the ReLU (eltwise_layer.h), where that does not
// show: each blob between is read by the next of these layers alone and is no output of the net. Convolutions right
// below and above such a BatchNorm do its passes over memory, too. Convolutions right below a Concat of channels write
// into its top. When gradients are planned, before layers are bound.
void FuseLayers(NetGraph* graph);

}  // namespace samovar
