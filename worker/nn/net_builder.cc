#include "worker/nn/net_builder.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/caffe/insert_splits.h"
#include "worker/nn/layer_fields.h"
#include "worker/nn/layer_registry.h"
#include "worker/nn/net_gradients.h"

namespace samovar {
namespace {

std::string NameOf(const caffe::LayerParameter& param) {
  return absl::StrCat("layer \"", param.name(), "\" (", param.type(), ")");
}

// Letters to insert, delete or replace to get from a to b.
size_t EditDistance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = std::exchange(row[j + 1], std::min({replaced, row[j] + 1, row[j + 1] + 1}));
    }
  }
  return row[b.size()];
}

class Builder {
 public:
  explicit Builder(const NetOptions& options) : options_(options), graph_(std::make_unique<NetGraph>()) {}

  absl::StatusOr<std::unique_ptr<NetGraph>> Build(const caffe::NetParameter& net) {
    SAMOVAR_RETURN_IF_ERROR(Start(net));
    const caffe::NetParameter split = InsertSplits(net);
    for (const caffe::LayerParameter& param : split.layer()) SAMOVAR_RETURN_IF_ERROR(AddLayer(param));
    SAMOVAR_RETURN_IF_ERROR(CheckLosses());
    std::vector<bool> carries_diff;
    SAMOVAR_RETURN_IF_ERROR(PlanGradients(graph_.get(), &carries_diff));
    SAMOVAR_RETURN_IF_ERROR(AllocateBlobs(carries_diff));
    for (LayerNode& node : graph_->nodes) SAMOVAR_RETURN_IF_ERROR(BindLayer(&node));
    ListOutputs();
    return std::move(graph_);
  }

 private:
  absl::Status Start(const caffe::NetParameter& net) {
    SAMOVAR_RETURN_IF_ERROR(CheckFields(net, "", {"name", "layer", "state", "force_backward"}));
    SAMOVAR_ASSIGN_OR_RETURN(const caffe::LayerParameter data, FindDataLayer(net));
    const uint32_t batch_size = data.data_param().batch_size();
    if (batch_size < 1 || batch_size > (1u << 24)) {
      return absl::InvalidArgumentError(
          absl::StrCat(NameOf(data), ": data_param.batch_size is ", batch_size, "; give 1 to ", 1 << 24));
    }
    record_ = {options_.channels, options_.height, options_.width};
    SAMOVAR_RETURN_IF_ERROR(Annotate(CheckShape(record_), absl::StrCat(NameOf(data), ": record")));
    graph_->phase = options_.phase;
    graph_->loop = Loop(options_.pool);
    graph_->batch_size = graph_->records = static_cast<int>(batch_size);
    return absl::OkStatus();
  }

  absl::Status AddLayer(const caffe::LayerParameter& param) {
    LayerNode node;
    node.param = param;
    LayerContext context{node.param, {}, graph_->batch_size, record_};
    for (const std::string& bottom : param.bottom()) {
      SAMOVAR_ASSIGN_OR_RETURN(const size_t blob, FindBottom(param, bottom));
      node.bottoms.push_back(blob);
      context.bottoms.push_back(graph_->blobs[blob]->shape);
    }
    SAMOVAR_ASSIGN_OR_RETURN(node.layer, CreateLayer(context));
    if (!layer_names_.insert(param.name()).second) {
      return absl::InvalidArgumentError(absl::StrCat("two layers are named \"", param.name(), "\"; rename one"));
    }
    SAMOVAR_RETURN_IF_ERROR(Annotate(CheckGeneralFields(param), NameOf(param)));
    for (int i = 0; i < param.top_size(); ++i) SAMOVAR_RETURN_IF_ERROR(AddTop(i, &node));
    SAMOVAR_RETURN_IF_ERROR(Annotate(SetLossWeights(&node), NameOf(param)));
    SAMOVAR_RETURN_IF_ERROR(Annotate(AddParameters(&node), NameOf(param)));
    if (param.type() == "Data") {
      graph_->data = graph_->blobs[node.tops[0]].get();
      if (node.tops.size() > 1) graph_->labels = graph_->blobs[node.tops[1]].get();
    }
    graph_->nodes.push_back(std::move(node));
    return absl::OkStatus();
  }

  absl::StatusOr<size_t> FindBottom(const caffe::LayerParameter& param, const std::string& bottom) {
    const auto found = blob_numbers_.find(bottom);
    if (found != blob_numbers_.end()) {
      consumed_.insert(found->second);
      return found->second;
    }
    std::string message = absl::StrCat(NameOf(param), ": no layer before it has a top \"", bottom, "\"");
    const auto nearest = std::min_element(blob_numbers_.begin(), blob_numbers_.end(), [&](const auto& a, const auto& b) {
      return EditDistance(a.first, bottom) < EditDistance(b.first, bottom);
    });
    if (nearest != blob_numbers_.end()) absl::StrAppend(&message, "; did you mean \"", nearest->first, "\"?");
    return absl::InvalidArgumentError(message);
  }

  absl::Status CheckGeneralFields(const caffe::LayerParameter& param) {
    if (param.has_phase() && param.phase() != options_.phase) {
      return absl::UnimplementedError(absl::StrCat("phase ", caffe::Phase_Name(param.phase()), " differs from the net's, ",
                                                   caffe::Phase_Name(options_.phase),
                                                   "; to leave the layer out of a phase write include { phase: ... }"));
    }
    if (param.propagate_down_size() != 0 && param.propagate_down_size() != param.bottom_size()) {
      return absl::InvalidArgumentError(absl::StrCat("propagate_down has ", param.propagate_down_size(), " entries for ",
                                                     param.bottom_size(), " bottoms; give one each, or none"));
    }
    return absl::OkStatus();
  }

  absl::Status AddTop(int i, LayerNode* node) {
    const std::string& name = node->param.top(i);
    const Shape& shape = node->layer->top_shapes()[static_cast<size_t>(i)];
    const auto found = blob_numbers_.find(name);
    if (found == blob_numbers_.end()) {
      node->tops.push_back(graph_->blobs.size());
      blob_numbers_[name] = graph_->blobs.size();
      producers_.push_back(graph_->nodes.size());
      graph_->blobs.push_back(std::make_unique<Blob>(Blob{name, shape}));
      return absl::OkStatus();
    }
    const size_t blob = found->second;
    const bool in_place = i < node->param.bottom_size() && node->param.bottom(i) == name;
    const size_t other = producers_[blob] < graph_->nodes.size() ? producers_[blob] : 0;
    if (!in_place) {
      const std::string first = producers_[blob] < graph_->nodes.size()
                                    ? absl::StrCat("layer \"", graph_->nodes[other].param.name(), "\"")
                                    : "another top of it";
      return absl::InvalidArgumentError(
          absl::StrCat(NameOf(node->param), ": top \"", name, "\" is already a top of ", first, "; rename it"));
    }
    if (!node->layer->can_work_in_place() || graph_->nodes[other].param.type() == "Data") {
      return absl::UnimplementedError(absl::StrCat(NameOf(node->param), " cannot overwrite its bottom \"", name,
                                                   "\" (in place is offered for ReLU with negative_slope of 0 or more, not over the "
                                                   "data layer's tops); give its top another name"));
    }
    producers_[blob] = graph_->nodes.size();
    // The output of the layer below is overwritten before its backward pass.
    for (const LayerNode& below : graph_->nodes) {
      if (std::find(below.tops.begin(), below.tops.end(), blob) == below.tops.end()) continue;
      if (below.param.type() != "Softmax" && below.param.type() != "SoftmaxWithLoss") continue;
      return absl::UnimplementedError(absl::StrCat(NameOf(node->param), " cannot overwrite \"", name, "\", which ",
                                                   NameOf(below.param), " reads in its backward pass; give its top another name"));
    }
    node->tops.push_back(blob);
    consumed_.erase(blob);
    return absl::OkStatus();
  }

  absl::Status SetLossWeights(LayerNode* node) {
    const auto& given = node->param.loss_weight();
    node->loss_weights.assign(node->tops.size(), 0.0f);
    if (given.empty()) {
      if (absl::EndsWith(node->param.type(), "Loss")) node->loss_weights[0] = 1;
      return absl::OkStatus();
    }
    if (given.size() != node->param.top_size()) {
      return absl::InvalidArgumentError(absl::StrCat("loss_weight has ", given.size(), " entries for ", node->param.top_size(),
                                                     " tops; give one each, or none"));
    }
    for (int i = 0; i < given.size(); ++i) {
      if (!std::isfinite(given[i])) return absl::InvalidArgumentError("loss_weight must be finite");
      node->loss_weights[static_cast<size_t>(i)] = given[i];
    }
    return absl::OkStatus();
  }

  absl::Status AddParameters(LayerNode* node) {
    const std::vector<v1::ParameterBlob>& parameters = node->layer->parameters();
    const int count = static_cast<int>(parameters.size());
    if (node->param.param_size() > count) {
      return absl::InvalidArgumentError(
          absl::StrCat("it has ", node->param.param_size(), " param entries, but ", count, " parameter blobs"));
    }
    node->first_blob = graph_->layout.blobs_size();
    node->begin = graph_->layout.elements();
    for (int i = 0; i < count; ++i) {
      const caffe::ParamSpec spec = i < node->param.param_size() ? node->param.param(i) : caffe::ParamSpec();
      SAMOVAR_RETURN_IF_ERROR(CheckParamSpec(node->param, spec));
      v1::ParameterBlob* blob = graph_->layout.add_blobs();
      *blob = parameters[static_cast<size_t>(i)];
      blob->set_lr_mult(spec.lr_mult());
      blob->set_decay_mult(spec.decay_mult());
      blob->set_offset(graph_->layout.elements());
      graph_->layout.set_elements(graph_->layout.elements() +
                                  static_cast<uint64_t>(Elements(Shape(blob->shape().begin(), blob->shape().end()))));
      node->learns.push_back(spec.lr_mult() != 0);
    }
    node->end = graph_->layout.elements();
    return absl::OkStatus();
  }

  absl::Status CheckParamSpec(const caffe::LayerParameter& param, const caffe::ParamSpec& spec) {
    if (!std::isfinite(spec.lr_mult()) || !std::isfinite(spec.decay_mult())) {
      return absl::InvalidArgumentError("param: lr_mult and decay_mult must be finite");
    }
    if (spec.name().empty()) return absl::OkStatus();
    const auto [owner, added] = param_names_.emplace(spec.name(), param.name());
    if (added) return absl::OkStatus();
    return absl::UnimplementedError(absl::StrCat("param name \"", spec.name(), "\" is also that of layer \"", owner->second,
                                                 "\": sharing parameters is not offered; give them different names"));
  }

  absl::Status CheckLosses() {
    bool any = false;
    for (const LayerNode& node : graph_->nodes) {
      for (size_t i = 0; i < node.tops.size(); ++i) {
        if (node.loss_weights[i] == 0) continue;
        any = true;
        if (consumed_.count(node.tops[i]) == 0) continue;
        return absl::UnimplementedError(absl::StrCat(NameOf(node.param), ": top \"", graph_->blobs[node.tops[i]]->name,
                                                     "\" has a loss_weight and is read by another layer; use one of the two"));
      }
    }
    if (!any && options_.phase == caffe::TRAIN) {
      return absl::InvalidArgumentError("the train net has no loss, so there is nothing to learn; add a SoftmaxWithLoss layer");
    }
    return absl::OkStatus();
  }

  // One mapping for all blobs' data and diff, each at a cache line's boundary.
  absl::Status AllocateBlobs(const std::vector<bool>& carries_diff) {
    auto padded = [](const Blob& blob) { return (Elements(blob.shape) + 15) / 16 * 16; };
    const bool train = options_.phase == caffe::TRAIN;
    int64_t total = 0;
    for (size_t i = 0; i < graph_->blobs.size(); ++i) total += padded(*graph_->blobs[i]) * (train && carries_diff[i] ? 2 : 1);
    SAMOVAR_RETURN_IF_ERROR(Annotate(graph_->memory.Allocate(total), "blobs of the net"));
    float* next = graph_->memory.data();
    for (size_t i = 0; i < graph_->blobs.size(); ++i) {
      Blob& blob = *graph_->blobs[i];
      blob.data = std::exchange(next, next + padded(blob));
      if (train && carries_diff[i]) blob.diff = std::exchange(next, next + padded(blob));
    }
    const int64_t elements = static_cast<int64_t>(graph_->layout.elements());
    SAMOVAR_RETURN_IF_ERROR(Annotate(graph_->weights.Allocate(elements), "weights of the net"));
    return Annotate(graph_->gradients.Allocate(elements), "gradients of the net");
  }

  absl::Status BindLayer(LayerNode* node) {
    const bool backward = node->needs_backward && options_.phase == caffe::TRAIN;
    LayerBinding binding;
    for (size_t blob : node->bottoms) binding.bottoms.push_back(graph_->blobs[blob].get());
    for (size_t blob : node->tops) binding.tops.push_back(graph_->blobs[blob].get());
    for (size_t i = 0; i < node->learns.size(); ++i) {
      const uint64_t offset = graph_->layout.blobs(node->first_blob + static_cast<int>(i)).offset();
      binding.weights.push_back(graph_->weights.data() + offset);
      binding.gradients.push_back(backward && node->learns[i] ? graph_->gradients.data() + offset : nullptr);
    }
    binding.propagate_down = node->propagate_down;
    binding.batch_size = graph_->batch_size;
    binding.threads = graph_->loop.threads();
    return Annotate(node->layer->Bind(std::move(binding)), NameOf(node->param));
  }

  void ListOutputs() {
    for (const LayerNode& node : graph_->nodes) {
      for (size_t i = 0; i < node.tops.size(); ++i) {
        const Blob* blob = graph_->blobs[node.tops[i]].get();
        if (consumed_.count(node.tops[i]) > 0) continue;
        if (std::find(graph_->outputs.begin(), graph_->outputs.end(), blob) != graph_->outputs.end()) continue;
        graph_->outputs.push_back(blob);
        for (int64_t value = 0; value < Elements(blob->shape); ++value) {
          v1::OutputSpec* spec = graph_->output_specs.add_outputs();
          spec->set_name(blob->name);
          spec->set_loss_weight(node.loss_weights[i]);
        }
      }
    }
    graph_->output_values.assign(static_cast<size_t>(graph_->output_specs.outputs_size()), 0.0f);
  }

  const NetOptions options_;
  Shape record_;
  std::unique_ptr<NetGraph> graph_;
  std::map<std::string, size_t> blob_numbers_;
  // One entry a blob: the node that wrote it last.
  std::vector<size_t> producers_;
  // Blobs that some layer reads after they were last written.
  std::set<size_t> consumed_;
  std::set<std::string> layer_names_;
  // Layer that named a parameter first.
  std::map<std::string, std::string> param_names_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<NetGraph>> BuildNet(const caffe::NetParameter& net, const NetOptions& options) {
  return Builder(options).Build(net);
}

}  // namespace samovar
