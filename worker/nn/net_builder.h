// Makes the graph of a net from its prototxt.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "caffe.pb.h"
#include "worker/nn/net.h"
#include "worker/nn/net_graph.h"

namespace samovar {

// See Net::Create for its arguments and errors.
absl::StatusOr<std::unique_ptr<NetGraph>> BuildNet(const caffe::NetParameter& net, const NetOptions& options);

// The same for other records: weights and gradients pass from the former graph to the new one, memory and all.
// INVALID_ARGUMENT also if parameters or outputs would be others; the former graph stays whole then.
absl::StatusOr<std::unique_ptr<NetGraph>> RebuildNet(const caffe::NetParameter& net, const NetOptions& options,
                                                     NetGraph* former);

}  // namespace samovar
