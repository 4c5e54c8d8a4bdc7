#include "worker/nn/net.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/base/suggest.h"
#include "worker/nn/kernels/eigen.h"
#include "worker/nn/net_builder.h"
#include "worker/nn/net_graph.h"

namespace samovar {
namespace {

// The weighted sum of the loss tops.
absl::StatusOr<double> SumLosses(const NetGraph& graph) {
  double loss = 0;
  for (const LayerNode& node : graph.nodes) {
    for (size_t i = 0; i < node.tops.size(); ++i) {
      if (node.loss_weights[i] == 0) continue;
      const Blob& top = *graph.blobs[node.tops[i]];
      double sum = 0;
      for (int64_t value = 0; value < top.elements(); ++value) sum += top.data[value];
      if (graph.phase == caffe::TRAIN && !std::isfinite(static_cast<float>(sum))) {
        return absl::OutOfRangeError(absl::StrCat("the loss of layer \"", node.written_name, "\" (top \"",
                                                  top.written_name, "\") is ", sum,
                                                  "; training diverged or the data is not scaled: lower base_lr in the "
                                                  "solver, or check transform_param.scale"));
      }
      loss += double{node.loss_weights[i]} * node.loss_factors[i] * sum;
    }
  }
  return loss;
}

void CopyOutputs(NetGraph* graph) {
  auto next = graph->output_values.begin();
  for (size_t i = 0; i < graph->outputs.size(); ++i) {
    const Blob& blob = *graph->outputs[i];
    const float factor = graph->factors_of_outputs[i];
    if (blob.elements() > Net::kMaxOutputValues) {
      const double sum = std::accumulate(blob.data, blob.data + blob.elements(), 0.0);
      *next++ = static_cast<float>(factor * sum / static_cast<double>(blob.elements()));
      continue;
    }
    next =
        std::transform(blob.data, blob.data + blob.elements(), next, [factor](float value) { return factor * value; });
  }
}

// The loss weight is the gradient of the loss by its top.
void SeedLoss(const NetGraph& graph, const LayerNode& node) {
  for (size_t i = 0; i < node.tops.size(); ++i) {
    const Blob& top = *graph.blobs[node.tops[i]];
    if (node.loss_weights[i] != 0) std::fill_n(top.diff, top.elements(), node.loss_weights[i] * node.loss_factors[i]);
  }
}

int64_t ElementsOf(const v1::ParameterBlob& blob) { return Elements(Shape(blob.shape().begin(), blob.shape().end())); }

bool IsShared(const NetGraph& graph, int blob) {
  return std::any_of(graph.shared.begin(), graph.shared.end(),
                     [&](const auto& shared) { return shared->blob == blob; });
}

// Blobs that do not learn have gradient zero, not the value from before. Shared gradients are summed up apart,
// statistics are written by their layers.
void ZeroFrozen(NetGraph* graph, const LayerNode& node) {
  for (size_t i = 0; i < node.learns.size(); ++i) {
    const v1::ParameterBlob& blob = graph->layout.blobs(node.parameters[i]);
    if ((node.needs_backward && node.learns[i]) || blob.rule() == v1::UPDATE_RULE_MOVING_AVERAGE) continue;
    if (IsShared(*graph, node.parameters[i])) continue;
    std::fill_n(graph->gradients.data() + blob.offset(), ElementsOf(blob), 0.0f);
  }
}

void ZeroShared(NetGraph* graph) {
  for (const auto& shared : graph->shared) {
    const v1::ParameterBlob& blob = graph->layout.blobs(shared->blob);
    std::fill_n(graph->gradients.data() + blob.offset(), ElementsOf(blob), 0.0f);
  }
}

// Adds the gradients that the node wrote for parameters that it shares. The order of additions is that of the nodes.
void AddShared(NetGraph* graph, const LayerNode& node) {
  for (size_t i = 0; i < node.parameters.size(); ++i) {
    const bool statistic = graph->layout.blobs(node.parameters[i]).rule() == v1::UPDATE_RULE_MOVING_AVERAGE;
    if (!statistic && !(node.needs_backward && node.learns[i])) continue;
    const float share = statistic ? node.statistic_shares[i] : 1.0f;
    for (const auto& shared : graph->shared) {
      if (shared->blob != node.parameters[i]) continue;
      float* __restrict sum = graph->gradients.data() + graph->layout.blobs(shared->blob).offset();
      const float* __restrict part = shared->part.data();
      for (int64_t k = 0; k < shared->part.size(); ++k) sum[k] += share * part[k];
    }
  }
}

// Some layer writes the blob: none has absorbed its producer together with its reader, or computes it again
// (net_fusion.h).
bool IsWritten(const NetGraph& graph, size_t blob) {
  if (graph.unwritten.contains(blob)) return false;
  for (const LayerNode& node : graph.nodes) {
    if (node.absorbed_by) continue;
    const std::vector<size_t>& written = node.writes.empty() ? node.tops : node.writes;
    if (std::find(written.begin(), written.end(), blob) != written.end()) return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Net>> Net::Create(const caffe::NetParameter& net, const NetOptions& options) {
  ConfigureEigen();
  SAMOVAR_ASSIGN_OR_RETURN(std::unique_ptr<NetGraph> graph, BuildNet(net, options));
  return std::unique_ptr<Net>(new Net(net, options, std::move(graph)));
}

Net::Net(const caffe::NetParameter& param, const NetOptions& options, std::unique_ptr<NetGraph> graph)
    : param_(param), options_(options), graph_(std::move(graph)) {
  // It lives no longer than Create.
  options_.origin = nullptr;
}

absl::Status Net::Reshape(const std::map<std::string, std::vector<Shape>>& input_shapes) {
  NetOptions options = options_;
  options.input_shapes = input_shapes;
  SAMOVAR_ASSIGN_OR_RETURN(std::unique_ptr<NetGraph> graph, RebuildNet(param_, options, graph_.get()));
  graph->after_layer = std::move(graph_->after_layer);
  graph_ = std::move(graph);
  options_ = std::move(options);
  return absl::OkStatus();
}

Net::~Net() = default;

const v1::ParameterLayout& Net::layout() const { return graph_->layout; }
std::span<float> Net::weights() {
  graph_->new_weights = true;
  return graph_->weights.span();
}
std::span<float> Net::gradients() { return graph_->gradients.span(); }
int Net::batch_size() const { return graph_->batch_size; }
const std::vector<NetInput>& Net::inputs() const { return graph_->inputs; }
const v1::NetOutputs& Net::output_specs() const { return graph_->output_specs; }
std::span<const float> Net::outputs() const { return graph_->output_values; }

void Net::AddOutputs(const v1::NetOutputs& full, double weight, std::vector<double>* sums) const {
  const v1::NetOutputs& ours = output_specs();
  int from = 0;
  for (int to = 0; to < full.outputs_size(); ++to) {
    const v1::OutputSpec& wanted = full.outputs(to);
    const int begin = from;
    double sum = 0;
    // A mean takes all values of its blob, others one.
    while (from < ours.outputs_size() && ours.outputs(from).name() == wanted.name() &&
           (from == begin || wanted.mean_of() > 0)) {
      sum += double{outputs()[static_cast<size_t>(from++)]};
    }
    if (from > begin) (*sums)[static_cast<size_t>(to)] += weight * sum / (from - begin);
  }
}
float Net::loss() const { return graph_->loss; }

std::vector<std::string> Net::BlobNames() const {
  std::vector<std::string> names;
  for (const LayerNode& node : graph_->nodes) {
    if (node.param.type() == "Split") continue;
    for (const size_t top : node.tops) {
      const std::string& name = graph_->blobs[top]->name;
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  }
  return names;
}

uint64_t Net::blob_bytes() const { return static_cast<uint64_t>(graph_->memory.size()) * sizeof(float); }

BlobNeed Net::blob_need(size_t layer) const { return graph_->needs[layer]; }

size_t Net::layers() const { return graph_->nodes.size(); }
const caffe::LayerParameter& Net::layer(size_t layer) const { return graph_->nodes[layer].param; }
size_t Net::computed_by(size_t layer) const { return graph_->nodes[layer].absorbed_by.value_or(layer); }
double Net::forward_flops(size_t layer) const { return graph_->nodes[layer].layer->forward_flops(); }
double Net::backward_flops(size_t layer) const {
  const bool runs = graph_->phase == caffe::TRAIN && graph_->nodes[layer].needs_backward;
  return runs ? graph_->nodes[layer].layer->backward_flops() : 0;
}
void Net::SetObserver(std::function<void(size_t layer, bool forward)> after_layer) {
  graph_->after_layer = std::move(after_layer);
}

absl::StatusOr<NetBlob> Net::FindBlob(const std::string& name) const {
  std::vector<std::string> names;
  // Layers in place make blobs of the same name, one after the other.
  for (size_t i = graph_->blobs.size(); i-- > 0;) {
    const Blob& blob = *graph_->blobs[i];
    names.push_back(blob.name);
    if (blob.name != name) continue;
    if (IsWritten(*graph_, i) && !graph_->overwritten[i])
      return NetBlob{blob.shape, {blob.data, static_cast<size_t>(blob.elements())}};
    return absl::FailedPreconditionError(absl::StrCat(
        "blob \"", name, "\" is not kept: layers are computed together, and blobs share memory; create the net with ",
        "keep_blobs to read it"));
  }
  return absl::NotFoundError(absl::StrCat("the net has no blob \"", name, "\"", DidYouMean(name, names)));
}

absl::Status Net::Forward(uint64_t iteration, uint64_t seed, uint64_t first_record) {
  graph_->forward_done = false;
  const bool new_weights = graph_->phase == caffe::TRAIN || graph_->new_weights;
  graph_->pass = {iteration, seed, first_record, graph_->loop, new_weights};
  for (size_t i = 0; i < graph_->nodes.size(); ++i) {
    if (!graph_->nodes[i].absorbed_by) SAMOVAR_RETURN_IF_ERROR(graph_->nodes[i].layer->Forward(graph_->pass));
    if (graph_->after_layer) graph_->after_layer(i, /*forward=*/true);
  }
  SAMOVAR_ASSIGN_OR_RETURN(const double loss, SumLosses(*graph_));
  graph_->loss = static_cast<float>(loss);
  CopyOutputs(graph_.get());
  graph_->forward_done = true;
  graph_->new_weights = false;
  return absl::OkStatus();
}

absl::Status Net::Backward(absl::FunctionRef<void(uint64_t begin, uint64_t end)> ready) {
  if (graph_->phase != caffe::TRAIN) return absl::FailedPreconditionError("a net of phase TEST has no backward pass");
  if (!graph_->forward_done) {
    return absl::FailedPreconditionError("backward needs a forward pass of the same records that succeeded");
  }
  // A second backward would read blobs that in-place layers have replaced.
  graph_->forward_done = false;
  ZeroShared(graph_.get());
  for (auto node = graph_->nodes.rbegin(); node != graph_->nodes.rend(); ++node) {
    if (node->needs_backward) {
      SeedLoss(*graph_, *node);
      if (!node->absorbed_by) node->layer->Backward(graph_->pass);
      if (graph_->after_layer)
        graph_->after_layer(static_cast<size_t>(node.base() - graph_->nodes.begin()) - 1, /*forward=*/false);
    }
    // One that is absorbed has its gradients when the layer below has run that does its work.
    if (node->absorbed_by) continue;
    const auto finish = [&](const LayerNode& done) {
      done.layer->WriteStatistics();
      AddShared(graph_.get(), done);
      ZeroFrozen(graph_.get(), done);
      if (done.end > done.begin) ready(done.begin, done.end);
    };
    for (auto above = node->absorbs.rbegin(); above != node->absorbs.rend(); ++above) finish(graph_->nodes[*above]);
    finish(*node);
  }
  return absl::OkStatus();
}

}  // namespace samovar
