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
#include "worker/nn/fed_layer.h"
#include "worker/nn/layer_fields.h"
#include "worker/nn/layer_registry.h"
#include "worker/nn/net_fusion.h"
#include "worker/nn/net_gradients.h"
#include "worker/nn/net_parts.h"

namespace samovar {
namespace {

std::string NameOf(const caffe::LayerParameter& param) {
  return absl::StrCat("layer \"", param.name(), "\" (", param.type(), ")");
}

Shape ShapeOf(const v1::ParameterBlob& blob) { return Shape(blob.shape().begin(), blob.shape().end()); }

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
    SAMOVAR_ASSIGN_OR_RETURN(stated_batch_size_, StatedBatchSize(split));
    for (const caffe::LayerParameter& param : split.layer()) SAMOVAR_RETURN_IF_ERROR(AddLayer(param));
    SAMOVAR_RETURN_IF_ERROR(CheckLosses());
    SAMOVAR_RETURN_IF_ERROR(FinishParameters());
    FindBatchSize();
    SAMOVAR_RETURN_IF_ERROR(PlanParts(options_.parts, graph_.get()));
    std::vector<bool> carries_diff;
    SAMOVAR_RETURN_IF_ERROR(PlanGradients(graph_.get(), &carries_diff));
    SAMOVAR_RETURN_IF_ERROR(AllocateBlobs(carries_diff));
    if (!options_.keep_blobs) FuseLayers(graph_.get());
    for (LayerNode& node : graph_->nodes) {
      if (!node.absorbed_by) SAMOVAR_RETURN_IF_ERROR(BindLayer(&node));
    }
    ListInputs();
    SAMOVAR_RETURN_IF_ERROR(ListOutputs());
    return std::move(graph_);
  }

 private:
  absl::Status Start(const caffe::NetParameter& net) {
    SAMOVAR_RETURN_IF_ERROR(CheckFields(net, "", {"name", "layer", "state", "force_backward", "debug_info"}));
    if (net.layer_size() == 0) return absl::InvalidArgumentError(absl::StrCat("net \"", net.name(), "\" has no layers"));
    graph_->phase = options_.phase;
    graph_->loop = Loop(options_.pool);
    return absl::OkStatus();
  }

  // Of the first fed layer; 0 if there is none.
  static absl::StatusOr<int> StatedBatchSize(const caffe::NetParameter& net) {
    for (const caffe::LayerParameter& param : net.layer()) {
      if (IsFedType(param.type())) return BatchSizeOf(param);
    }
    return 0;
  }

  // Shapes of a fed layer's tops.
  absl::Status AddFedTops(LayerContext* context) {
    SAMOVAR_ASSIGN_OR_RETURN(const int stated, BatchSizeOf(context->param));
    const auto shapes = options_.input_shapes.find(context->param.name());
    if (shapes == options_.input_shapes.end()) {
      return absl::InvalidArgumentError(absl::StrCat(NameOf(context->param), ": the shapes of its records are not known"));
    }
    const int batch_size = options_.batch_size > 0 ? options_.batch_size : stated;
    for (const Shape& record : shapes->second) {
      Shape& shape = context->fed_tops.emplace_back(Shape{batch_size});
      shape.insert(shape.end(), record.begin(), record.end());
      SAMOVAR_RETURN_IF_ERROR(Annotate(CheckShape(shape), NameOf(context->param)));
    }
    return absl::OkStatus();
  }

  absl::Status AddLayer(const caffe::LayerParameter& param) {
    LayerNode node;
    node.param = param;
    LayerContext context{node.param, {}, options_.phase, graph_->nodes.size(), {}, options_.batch_size, stated_batch_size_};
    if (IsFedType(param.type())) SAMOVAR_RETURN_IF_ERROR(AddFedTops(&context));
    for (const std::string& bottom : param.bottom()) {
      SAMOVAR_ASSIGN_OR_RETURN(const size_t blob, FindBottom(param, bottom));
      node.bottoms.push_back(blob);
      context.bottoms.push_back(graph_->blobs[blob]->shape);
    }
    SAMOVAR_ASSIGN_OR_RETURN(node.layer, CreateLayer(context));
    SAMOVAR_RETURN_IF_ERROR(CheckName(node));
    SAMOVAR_RETURN_IF_ERROR(Annotate(CheckGeneralFields(param), NameOf(param)));
    for (int i = 0; i < param.top_size(); ++i) SAMOVAR_RETURN_IF_ERROR(AddTop(i, &node));
    SAMOVAR_RETURN_IF_ERROR(Annotate(SetLossWeights(&node), NameOf(param)));
    SAMOVAR_RETURN_IF_ERROR(Annotate(AddParameters(&node), NameOf(param)));
    graph_->nodes.push_back(std::move(node));
    return absl::OkStatus();
  }

  // Weights go by the layer's name, in files and among nets. Layers without weights may have one name.
  absl::Status CheckName(const LayerNode& node) {
    if (node.layer->parameters().empty()) return absl::OkStatus();
    for (const LayerNode& other : graph_->nodes) {
      if (other.param.name() != node.param.name() || other.layer->parameters().empty()) continue;
      const auto top = [](const LayerNode& of) { return absl::StrCat(NameOf(of.param), " with top \"", of.param.top(0), "\""); };
      return absl::InvalidArgumentError(absl::StrCat("two layers with weights are named \"", node.param.name(), "\": ", top(other), " and ",
                                                     top(node), "; rename one"));
    }
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

  // A layer in place makes a blob of its own, which has the bottom's name from there on. It has the bottom's memory too if
  // neither layer needs what stood there.
  absl::Status AddTop(int i, LayerNode* node) {
    const std::string& name = node->param.top(i);
    const auto found = blob_numbers_.find(name);
    const bool in_place = i < node->param.bottom_size() && node->param.bottom(i) == name;
    if (found != blob_numbers_.end() && !in_place) {
      const size_t producer = producers_[found->second];
      const std::string first = producer < graph_->nodes.size() ? absl::StrCat("layer \"", graph_->nodes[producer].param.name(), "\"")
                                                                : "another top of it";
      return absl::InvalidArgumentError(
          absl::StrCat(NameOf(node->param), ": top \"", name, "\" is already a top of ", first, "; rename it"));
    }
    const size_t blob = graph_->blobs.size();
    graph_->blobs.push_back(std::make_unique<Blob>(Blob{name, node->layer->top_shapes()[static_cast<size_t>(i)]}));
    graph_->blob_memory.push_back({blob, blob});
    if (in_place && i == 0 && SharesMemory(*node)) graph_->blob_memory[blob] = graph_->blob_memory[node->bottoms[0]];
    node->tops.push_back(blob);
    blob_numbers_[name] = blob;
    producers_.push_back(graph_->nodes.size());
    return absl::OkStatus();
  }

  bool SharesMemory(const LayerNode& node) const {
    const Layer& below = *graph_->nodes[producers_[node.bottoms[0]]].layer;
    // What is fed from outside stays as the caller wrote it.
    return node.layer->can_work_in_place() && below.has_backward() && !below.backward_reads_tops() &&
           node.layer->top_shapes()[0] == graph_->blobs[node.bottoms[0]]->shape;
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
      if (!std::isfinite(spec.lr_mult()) || !std::isfinite(spec.decay_mult())) {
        return absl::InvalidArgumentError("param: lr_mult and decay_mult must be finite");
      }
      const auto owner = spec.name().empty() ? param_owners_.end() : param_owners_.find(spec.name());
      if (owner != param_owners_.end()) {
        SAMOVAR_RETURN_IF_ERROR(ShareParameter(*node, parameters[static_cast<size_t>(i)], spec, owner->second));
        node->parameters.push_back(owner->second);
        continue;
      }
      if (!spec.name().empty()) param_owners_[spec.name()] = graph_->layout.blobs_size();
      node->parameters.push_back(graph_->layout.blobs_size());
      SAMOVAR_RETURN_IF_ERROR(AddParameter(parameters[static_cast<size_t>(i)], spec));
    }
    node->end = graph_->layout.elements();
    return absl::OkStatus();
  }

  absl::Status AddParameter(const v1::ParameterBlob& parameter, const caffe::ParamSpec& spec) {
    const bool statistic = parameter.rule() == v1::UPDATE_RULE_MOVING_AVERAGE;
    if (statistic) SAMOVAR_RETURN_IF_ERROR(CheckStatistic(spec));
    v1::ParameterBlob* blob = graph_->layout.add_blobs();
    *blob = parameter;
    blob->set_lr_mult(statistic ? 0 : spec.lr_mult());
    blob->set_decay_mult(statistic ? 0 : spec.decay_mult());
    blob->set_offset(graph_->layout.elements());
    graph_->layout.set_elements(graph_->layout.elements() + static_cast<uint64_t>(Elements(ShapeOf(*blob))));
    multipliers_given_.push_back({spec.has_lr_mult(), spec.has_decay_mult()});
    return absl::OkStatus();
  }

  // The parameter is the blob number `owned`. Multipliers may stand in any of the layers that share it, but must agree.
  absl::Status ShareParameter(const LayerNode& node, const v1::ParameterBlob& parameter, const caffe::ParamSpec& spec, int owned) {
    v1::ParameterBlob* blob = graph_->layout.mutable_blobs(owned);
    const std::string context = absl::StrCat("param \"", spec.name(), "\" is that of layer \"", blob->layer(), "\"");
    const bool statistic = parameter.rule() == v1::UPDATE_RULE_MOVING_AVERAGE;
    if (statistic != (blob->rule() == v1::UPDATE_RULE_MOVING_AVERAGE)) {
      return absl::InvalidArgumentError(absl::StrCat(context, ", but one of the two is learnt and the other one measured (the statistics ",
                                                     "of a BatchNorm layer); give them different names"));
    }
    if (statistic) SAMOVAR_RETURN_IF_ERROR(CheckStatistic(spec));
    const Shape ours = ShapeOf(parameter);
    const Shape theirs = ShapeOf(*blob);
    const bool permissive = spec.share_mode() == caffe::ParamSpec::PERMISSIVE;
    if (permissive ? Elements(ours) != Elements(theirs) : ours != theirs) {
      return absl::InvalidArgumentError(absl::StrCat(context, ", which has shape ", ToString(theirs), ", but here it is ", ToString(ours),
                                                     permissive ? "" : " (share_mode PERMISSIVE asks for equal counts only)"));
    }
    if (!statistic) SAMOVAR_RETURN_IF_ERROR(ShareMultipliers(spec, owned, context));
    // Each layer keeps its fraction of what the one before it has left.
    if (statistic) blob->set_moving_average_fraction(blob->moving_average_fraction() * parameter.moving_average_fraction());
    v1::SharedParameter* shared = graph_->layout.add_shared();
    shared->set_layer(node.param.name());
    shared->set_index(parameter.index());
    shared->set_blob(static_cast<uint32_t>(owned));
    return absl::OkStatus();
  }

  // Statistics are measured: no rate and no decay moves them.
  static absl::Status CheckStatistic(const caffe::ParamSpec& spec) {
    if (!spec.has_lr_mult() || spec.lr_mult() == 0) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("param: lr_mult is ", spec.lr_mult(),
                                                   ", but these parameters are measured, not learnt; write lr_mult: 0 or nothing"));
  }

  absl::Status ShareMultipliers(const caffe::ParamSpec& spec, int owned, const std::string& context) {
    v1::ParameterBlob* blob = graph_->layout.mutable_blobs(owned);
    auto& given = multipliers_given_[static_cast<size_t>(owned)];
    if (spec.has_lr_mult() && std::exchange(given.first, true) && blob->lr_mult() != spec.lr_mult()) {
      return absl::InvalidArgumentError(absl::StrCat(context, " with lr_mult ", blob->lr_mult(), ", but here it is ", spec.lr_mult()));
    }
    if (spec.has_decay_mult() && std::exchange(given.second, true) && blob->decay_mult() != spec.decay_mult()) {
      return absl::InvalidArgumentError(
          absl::StrCat(context, " with decay_mult ", blob->decay_mult(), ", but here it is ", spec.decay_mult()));
    }
    if (spec.has_lr_mult()) blob->set_lr_mult(spec.lr_mult());
    if (spec.has_decay_mult()) blob->set_decay_mult(spec.decay_mult());
    return absl::OkStatus();
  }

  // Multipliers are final only when all layers have been seen.
  absl::Status FinishParameters() {
    for (LayerNode& node : graph_->nodes) {
      for (int blob : node.parameters) node.learns.push_back(graph_->layout.blobs(blob).lr_mult() != 0);
    }
    // By blob: what later layers keep of a measurement.
    std::map<int, float> kept;
    for (auto node = graph_->nodes.rbegin(); node != graph_->nodes.rend(); ++node) {
      for (size_t i = 0; i < node->parameters.size(); ++i) {
        float& share = kept.try_emplace(node->parameters[i], 1.0f).first->second;
        node->statistic_shares.push_back(share);
        share *= node->layer->parameters()[i].moving_average_fraction();
      }
    }
    std::set<int> seen;
    for (const v1::SharedParameter& shared : graph_->layout.shared()) {
      if (!seen.insert(static_cast<int>(shared.blob())).second) continue;
      auto& gradient = graph_->shared.emplace_back(std::make_unique<SharedGradient>());
      gradient->blob = static_cast<int>(shared.blob());
      SAMOVAR_RETURN_IF_ERROR(gradient->part.Allocate(Elements(ShapeOf(graph_->layout.blobs(gradient->blob)))));
    }
    return absl::OkStatus();
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

  // One mapping for all blobs' data and diff, each at a cache line's boundary. What shares memory comes after its owner.
  absl::Status AllocateBlobs(const std::vector<bool>& carries_diff) {
    auto padded = [](const Blob& blob) { return (blob.elements() + 15) / 16 * 16; };
    const bool train = options_.phase == caffe::TRAIN;
    // Blobs that share memory have a diff if one of them carries one.
    std::vector<bool> has_diff(graph_->blobs.size(), false);
    int64_t total = 0;
    for (size_t i = 0; i < graph_->blobs.size(); ++i) {
      if (train && carries_diff[i]) has_diff[graph_->blob_memory[i].diff] = true;
    }
    for (size_t i = 0; i < graph_->blobs.size(); ++i) {
      if (graph_->blob_memory[i].data == i) total += padded(*graph_->blobs[i]) * (has_diff[i] ? 2 : 1);
    }
    SAMOVAR_RETURN_IF_ERROR(Annotate(graph_->memory.Allocate(total), "blobs of the net"));
    float* next = graph_->memory.data();
    for (size_t i = 0; i < graph_->blobs.size(); ++i) {
      Blob& blob = *graph_->blobs[i];
      const BlobMemory memory = graph_->blob_memory[i];
      blob.data = memory.data == i ? std::exchange(next, next + padded(blob)) : graph_->blobs[memory.data]->data;
      if (memory.diff == i && has_diff[i]) blob.diff = std::exchange(next, next + padded(blob));
      if (memory.diff != i && train && carries_diff[i]) blob.diff = graph_->blobs[memory.diff]->diff;
    }
    const int64_t elements = static_cast<int64_t>(graph_->layout.elements());
    SAMOVAR_RETURN_IF_ERROR(Annotate(graph_->weights.Allocate(elements), "weights of the net"));
    return Annotate(graph_->gradients.Allocate(elements), "gradients of the net");
  }

  // Where a layer writes the gradient of its parameter i; null if it is not wanted.
  float* GradientOf(const LayerNode& node, size_t i) {
    if (options_.phase != caffe::TRAIN) return nullptr;
    const v1::ParameterBlob& blob = graph_->layout.blobs(node.parameters[i]);
    const bool statistic = blob.rule() == v1::UPDATE_RULE_MOVING_AVERAGE;
    if (!statistic && !(node.needs_backward && node.learns[i])) return nullptr;
    for (const auto& shared : graph_->shared) {
      if (shared->blob == node.parameters[i]) return shared->part.data();
    }
    return graph_->gradients.data() + blob.offset();
  }

  absl::Status BindLayer(LayerNode* node) {
    LayerBinding binding;
    for (size_t blob : node->bottoms) binding.bottoms.push_back(graph_->blobs[blob].get());
    for (size_t blob : node->writes.empty() ? node->tops : node->writes) binding.tops.push_back(graph_->blobs[blob].get());
    for (size_t i = 0; i < node->parameters.size(); ++i) {
      binding.weights.push_back(graph_->weights.data() + graph_->layout.blobs(node->parameters[i]).offset());
      binding.gradients.push_back(GradientOf(*node, i));
    }
    binding.propagate_down = node->propagate_down;
    binding.threads = graph_->loop.threads();
    return Annotate(node->layer->Bind(std::move(binding)), NameOf(node->param));
  }

  void FindBatchSize() {
    const Blob* of = graph_->blobs[0].get();
    const auto fed = std::find_if(graph_->nodes.begin(), graph_->nodes.end(), [](const LayerNode& node) { return IsFedType(node.param.type()); });
    if (fed != graph_->nodes.end()) of = graph_->blobs[fed->tops[0]].get();
    graph_->batch_size = static_cast<int>(of->records());
  }

  void ListInputs() {
    for (const LayerNode& node : graph_->nodes) {
      const bool fed = IsFedType(node.param.type());
      if (!fed && node.param.type() != "Input") continue;
      NetInput& input = graph_->inputs.emplace_back(NetInput{node.param.name(), {}});
      for (size_t top : node.tops) {
        const Blob& blob = *graph_->blobs[top];
        input.tops.emplace_back(blob.data, static_cast<size_t>(blob.elements()));
      }
    }
  }

  absl::Status ListOutputs() {
    struct Output {
      const Blob* blob;
      float loss_weight;
      float factor;
    };
    std::map<std::string, Output> by_name;
    for (const LayerNode& node : graph_->nodes) {
      for (size_t i = 0; i < node.tops.size(); ++i) {
        const Blob* blob = graph_->blobs[node.tops[i]].get();
        if (consumed_.count(node.tops[i]) == 0) by_name[blob->name] = {blob, node.loss_weights[i], graph_->output_factors[node.tops[i]]};
      }
    }
    // Each value has an entry of its own, here and in what a job says of its nets.
    constexpr int64_t kMaxOutputs = 1 << 24;
    int64_t values = 0;
    for (const auto& [name, output] : by_name) {
      values += output.blob->elements();
      if (values > kMaxOutputs) {
        return absl::InvalidArgumentError(absl::StrCat("the net has more than ", kMaxOutputs, " output values, ", output.blob->elements(),
                                                       " of them in \"", name, "\", which no layer reads; add a Silence layer that reads it"));
      }
      graph_->outputs.push_back(output.blob);
      graph_->factors_of_outputs.push_back(output.factor);
      for (int64_t value = 0; value < output.blob->elements(); ++value) {
        v1::OutputSpec* spec = graph_->output_specs.add_outputs();
        spec->set_name(name);
        spec->set_loss_weight(output.loss_weight);
      }
    }
    graph_->output_values.assign(static_cast<size_t>(graph_->output_specs.outputs_size()), 0.0f);
    return absl::OkStatus();
  }

  const NetOptions options_;
  std::unique_ptr<NetGraph> graph_;
  int stated_batch_size_ = 0;
  std::map<std::string, size_t> blob_numbers_;
  // One entry a blob: the node that writes it.
  std::vector<size_t> producers_;
  // Blobs that some layer reads.
  std::set<size_t> consumed_;
  // Blob of the layout that had a parameter's name first.
  std::map<std::string, int> param_owners_;
  // One entry a blob of the layout: lr_mult and decay_mult were written down by a layer.
  std::vector<std::pair<bool, bool>> multipliers_given_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<NetGraph>> BuildNet(const caffe::NetParameter& net, const NetOptions& options) {
  return Builder(options).Build(net);
}

}  // namespace samovar
