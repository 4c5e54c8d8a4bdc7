#include "worker/nn/net.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/nn/eigen.h"
#include "worker/nn/net_builder.h"
#include "worker/nn/net_graph.h"

namespace samovar {
namespace {

// The weighted sum of the loss tops.
absl::StatusOr<double> SumLosses(const NetGraph& graph, uint64_t iteration) {
  double loss = 0;
  for (const LayerNode& node : graph.nodes) {
    for (size_t i = 0; i < node.tops.size(); ++i) {
      if (node.loss_weights[i] == 0) continue;
      const Blob& top = *graph.blobs[node.tops[i]];
      double sum = 0;
      for (int64_t value = 0; value < top.elements(graph.records); ++value) sum += top.data[value];
      if (!std::isfinite(static_cast<float>(sum))) {
        return absl::InvalidArgumentError(
            absl::StrCat("iteration ", iteration, ": the loss of layer \"", node.param.name(), "\" (top \"", top.name, "\") is ", sum,
                         "; training diverged or the data is not scaled: lower base_lr in the solver, or check transform_param.scale"));
      }
      loss += node.loss_weights[i] * sum;
    }
  }
  return loss;
}

// Values of records beyond the current number are 0.
void CopyOutputs(NetGraph* graph) {
  auto next = graph->output_values.begin();
  for (const Blob* blob : graph->outputs) {
    const int64_t filled = blob->elements(graph->records);
    next = std::copy(blob->data, blob->data + filled, next);
    next = std::fill_n(next, Elements(blob->shape) - filled, 0.0f);
  }
}

// What the loss is multiplied by is the gradient of the loss by its top.
void SeedLoss(const NetGraph& graph, const LayerNode& node) {
  for (size_t i = 0; i < node.tops.size(); ++i) {
    const Blob& top = *graph.blobs[node.tops[i]];
    if (node.loss_weights[i] != 0) std::fill_n(top.diff, top.elements(graph.records), node.loss_weights[i]);
  }
}

// What does not learn has no gradient, whatever stood there before.
void ZeroFrozen(NetGraph* graph, const LayerNode& node) {
  for (size_t i = 0; i < node.learns.size(); ++i) {
    if (node.needs_backward && node.learns[i]) continue;
    const v1::ParameterBlob& blob = graph->layout.blobs(node.first_blob + static_cast<int>(i));
    const int64_t count = Elements(Shape(blob.shape().begin(), blob.shape().end()));
    std::fill_n(graph->gradients.data() + blob.offset(), count, 0.0f);
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Net>> Net::Create(const caffe::NetParameter& net, const NetOptions& options) {
  ConfigureEigen();
  SAMOVAR_ASSIGN_OR_RETURN(std::unique_ptr<NetGraph> graph, BuildNet(net, options));
  return std::unique_ptr<Net>(new Net(std::move(graph)));
}

Net::Net(std::unique_ptr<NetGraph> graph) : graph_(std::move(graph)) {}
Net::~Net() = default;

const v1::ParameterLayout& Net::layout() const { return graph_->layout; }
std::span<float> Net::weights() { return graph_->weights.span(); }
std::span<float> Net::gradients() { return graph_->gradients.span(); }
int Net::batch_size() const { return graph_->batch_size; }
int Net::records() const { return graph_->records; }
const v1::NetOutputs& Net::output_specs() const { return graph_->output_specs; }
std::span<const float> Net::outputs() const { return graph_->output_values; }
float Net::loss() const { return graph_->loss; }

absl::Status Net::SetRecords(int records) {
  if (records < 1 || records > graph_->batch_size) {
    return absl::InvalidArgumentError(absl::StrCat(records, " records; the net takes 1 to ", graph_->batch_size));
  }
  graph_->records = records;
  graph_->forward_done = false;
  return absl::OkStatus();
}

std::span<float> Net::data() {
  return {graph_->data->data, static_cast<size_t>(graph_->data->elements(graph_->records))};
}

std::span<float> Net::labels() {
  if (graph_->labels == nullptr) return {};
  return {graph_->labels->data, static_cast<size_t>(graph_->records)};
}

absl::Status Net::Forward(uint64_t iteration, uint64_t seed) {
  graph_->forward_done = false;
  const Pass pass{graph_->records, iteration, seed, graph_->loop};
  for (const LayerNode& node : graph_->nodes) SAMOVAR_RETURN_IF_ERROR(node.layer->Forward(pass));
  SAMOVAR_ASSIGN_OR_RETURN(const double loss, SumLosses(*graph_, iteration));
  graph_->loss = static_cast<float>(loss);
  CopyOutputs(graph_.get());
  graph_->forward_done = true;
  return absl::OkStatus();
}

absl::Status Net::Backward(absl::FunctionRef<void(uint64_t begin, uint64_t end)> ready) {
  if (graph_->phase != caffe::TRAIN) return absl::FailedPreconditionError("a net of phase TEST has no backward pass");
  if (!graph_->forward_done) {
    return absl::FailedPreconditionError("backward needs a forward pass of the same records that succeeded");
  }
  // A second backward would read blobs that in-place layers have replaced.
  graph_->forward_done = false;
  const Pass pass{graph_->records, 0, 0, graph_->loop};
  for (auto node = graph_->nodes.rbegin(); node != graph_->nodes.rend(); ++node) {
    if (node->needs_backward) {
      SeedLoss(*graph_, *node);
      node->layer->Backward(pass);
    }
    ZeroFrozen(graph_.get(), *node);
    if (node->end > node->begin) ready(node->begin, node->end);
  }
  return absl::OkStatus();
}

absl::StatusOr<caffe::LayerParameter> FindDataLayer(const caffe::NetParameter& net) {
  const caffe::LayerParameter* found = nullptr;
  for (const caffe::LayerParameter& layer : net.layer()) {
    if (layer.type() != "Data") continue;
    if (found != nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("net \"", net.name(), "\" has two Data layers, \"", found->name(), "\" and \"",
                                                     layer.name(), "\"; keep one for each phase"));
    }
    found = &layer;
  }
  if (found == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("net \"", net.name(), "\" has no layer of type Data in this phase; add one with an LMDB source"));
  }
  if (found->data_param().backend() != caffe::DataParameter::LMDB) {
    return absl::UnimplementedError(absl::StrCat("layer \"", found->name(),
                                                 "\": data_param.backend LEVELDB (Caffe's default) is not offered; convert the data "
                                                 "and write backend: LMDB"));
  }
  return *found;
}

}  // namespace samovar
