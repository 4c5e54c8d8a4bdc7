#include "worker/nn/net_builder.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/base/suggest.h"
#include "common/caffe/error_list.h"
#include "common/caffe/insert_splits.h"
#include "worker/nn/fed_layer.h"
#include "worker/nn/layer_registry.h"
#include "worker/nn/layers/layer_fields.h"
#include "worker/nn/net_fusion.h"
#include "worker/nn/net_gradients.h"
#include "worker/nn/net_memory.h"
#include "worker/nn/net_parameters.h"
#include "worker/nn/net_parts.h"

namespace samovar {
namespace {

std::string NameOf(const caffe::LayerParameter& param) {
  return absl::StrCat("layer \"", param.name(), "\" (", param.type(), ")");
}

Shape ShapeOf(const v1::ParameterBlob& blob) { return Shape(blob.shape().begin(), blob.shape().end()); }

// A blob's number, or none if the layer that makes it is wrong, or there is no such layer: layers that take it cannot
// be checked.
using Bottom = std::optional<size_t>;

class Builder {
 public:
  // `former`: the graph whose weights and gradients the new one takes over; null: it makes its own.
  explicit Builder(const NetOptions& options, NetGraph* former = nullptr)
      : options_(options), former_(former), graph_(std::make_unique<NetGraph>()), parameters_(graph_.get()) {}
  ~Builder() {
    // Not built.
    if (graph_ != nullptr && taken_over_) SwapParameters();
  }
  Builder(const Builder&) = delete;
  Builder& operator=(const Builder&) = delete;

  absl::StatusOr<std::unique_ptr<NetGraph>> Build(const caffe::NetParameter& net) {
    const std::string place = PlaceOf(-1);
    SAMOVAR_RETURN_IF_ERROR(AtPlace(place, Start(net)));
    const SplitNet split = InsertSplitsInto(net);
    stated_batch_size_ = StatedBatchSize(split.net);
    for (int i = 0; i < split.net.layer_size(); ++i) AddLayer(net, split, i);
    SAMOVAR_RETURN_IF_ERROR(errors_.ToStatus());
    SAMOVAR_RETURN_IF_ERROR(CheckLosses());
    SAMOVAR_RETURN_IF_ERROR(AtPlace(place, parameters_.Finish()));
    FindBatchSize();
    SAMOVAR_RETURN_IF_ERROR(PlanParts(options_.parts, graph_.get()));
    std::vector<bool> carries_diff;
    SAMOVAR_RETURN_IF_ERROR(PlanGradients(graph_.get(), &carries_diff));
    ShareDiffsOfSplits(carries_diff);
    if (!options_.keep_blobs) FuseLayers(graph_.get());
    SAMOVAR_RETURN_IF_ERROR(AtPlace(place, AllocateBlobs(carries_diff, options_.keep_blobs, graph_.get())));
    SAMOVAR_RETURN_IF_ERROR(AtPlace(place, AllocateParameters()));
    for (LayerNode& node : graph_->nodes) {
      if (!node.absorbed_by) SAMOVAR_RETURN_IF_ERROR(BindLayer(&node));
    }
    SAMOVAR_RETURN_IF_ERROR(AtPlace(place, Annotate(graph_->scratch.Allocate(), "scratch memory of the layers")));
    SAMOVAR_RETURN_IF_ERROR(AtPlace(place, Annotate(graph_->packed.Allocate(), "packed weights")));
    ListInputs();
    ListOutputs();
    if (former_ != nullptr) SAMOVAR_RETURN_IF_ERROR(CheckSameOutputs());
    return std::move(graph_);
  }

 private:
  absl::Status Start(const caffe::NetParameter& net) {
    SAMOVAR_RETURN_IF_ERROR(CheckFields(net, "", {"name", "layer", "state", "force_backward", "debug_info"}));
    if (net.layer_size() == 0)
      return absl::InvalidArgumentError(absl::StrCat("net \"", net.name(), "\" has no layers"));
    graph_->phase = options_.phase;
    graph_->loop = Loop(options_.pool);
    return absl::OkStatus();
  }

  // The batch of the first fed layer; 0 if there is none, or if its number is wrong, which is reported as that layer's
  // error.
  static int StatedBatchSize(const caffe::NetParameter& net) {
    for (const caffe::LayerParameter& param : net.layer()) {
      if (IsFedType(param.type())) return BatchSizeOf(param).value_or(0);
    }
    return 0;
  }

  // The beginning of a message about the written layer of this number; -1: about the net.
  std::string PlaceOf(int layer) const { return options_.origin == nullptr ? "" : options_.origin->Prefix(layer); }

  static absl::Status AtPlace(const std::string& place, const absl::Status& status) {
    return status.ok() ? status : absl::Status(status.code(), absl::StrCat(place, status.message()));
  }

  // Records of a fed layer in a pass: of the layers after the first in proportion to their own batches.
  absl::StatusOr<int> BatchOf(const LayerContext& context, int stated) const {
    if (options_.batch_size <= 0) return stated;
    const int64_t product = int64_t{stated} * options_.batch_size;
    if (stated_batch_size_ > 0 && product % stated_batch_size_ == 0)
      return static_cast<int>(product / stated_batch_size_);
    return absl::InvalidArgumentError(absl::StrCat(NameOf(context.param), ": its batch is ", stated,
                                                   " records where the first data layer's is ", stated_batch_size_,
                                                   ", so that there is no pass with ", options_.batch_size,
                                                   " records of the first; give the layers the same batch_size"));
  }

  // Shapes of a fed layer's tops.
  absl::Status AddFedTops(LayerContext* context) {
    const auto unread = options_.input_errors.find(context->param.name());
    if (unread != options_.input_errors.end()) return unread->second;
    SAMOVAR_ASSIGN_OR_RETURN(const int stated, BatchSizeOf(context->param));
    const auto shapes = options_.input_shapes.find(context->param.name());
    if (shapes == options_.input_shapes.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat(NameOf(context->param), ": the shapes of its records are not known"));
    }
    SAMOVAR_ASSIGN_OR_RETURN(const int batch_size, BatchOf(*context, stated));
    for (const Shape& record : shapes->second) {
      Shape& shape = context->fed_tops.emplace_back(Shape{batch_size});
      shape.insert(shape.end(), record.begin(), record.end());
      SAMOVAR_RETURN_IF_ERROR(Annotate(CheckShape(shape), NameOf(context->param)));
    }
    return absl::OkStatus();
  }

  // The layer of `split` of this number, made of one of `net`. Its error goes to errors_.
  void AddLayer(const caffe::NetParameter& net, const SplitNet& split, int number) {
    const SplitNet::Source source = split.sources[static_cast<size_t>(number)];
    LayerNode node;
    node.param = split.net.layer(number);
    node.place = PlaceOf(source.layer);
    node.written_name = net.layer(source.layer).name();
    node.written = NameOf(net.layer(source.layer));
    LayerContext context{node.param,         {}, options_.phase, graph_->nodes.size(), {}, options_.batch_size,
                         stated_batch_size_, {}};
    const auto& written_bottoms = source.inserted ? node.param.bottom() : net.layer(source.layer).bottom();
    context.bottom_names.assign(written_bottoms.begin(), written_bottoms.end());
    const absl::Status status = CreateNode(&context, &node);
    if (!status.ok()) errors_.Add(AtPlace(node.place, status));
    if (node.layer == nullptr) {
      // Layers that take the tops of a wrong layer are not checked.
      for (const std::string& top : node.param.top()) blob_numbers_[top] = std::nullopt;
      return;
    }
    for (const absl::Status& wrong : FinishNode(source.inserted ? node.param.bottom(0) : "", &node))
      errors_.Add(AtPlace(node.place, wrong));
    graph_->nodes.push_back(std::move(node));
  }

  // Finds the node's bottoms and makes its layer. The node has no layer afterwards if it is wrong, or if one below it
  // is.
  absl::Status CreateNode(LayerContext* context, LayerNode* node) {
    if (IsFedType(node->param.type())) SAMOVAR_RETURN_IF_ERROR(AddFedTops(context));
    bool known = true;
    for (int i = 0; i < node->param.bottom_size(); ++i) {
      SAMOVAR_ASSIGN_OR_RETURN(const Bottom blob,
                               FindBottom(*node, node->param.bottom(i), context->bottom_names[static_cast<size_t>(i)]));
      known = known && blob.has_value();
      if (!known) continue;
      node->bottoms.push_back(*blob);
      context->bottoms.push_back(graph_->blobs[*blob]->shape);
    }
    if (!known) return CheckLayer(node->param);
    SAMOVAR_ASSIGN_OR_RETURN(node->layer, CreateLayer(*context));
    return absl::OkStatus();
  }

  // The rest of the work, once the node has its layer. `split_blob`: the blob that an inserted Split splits; empty for
  // others.
  std::vector<absl::Status> FinishNode(const std::string& split_blob, LayerNode* node) {
    std::vector<absl::Status> wrong;
    wrong.push_back(CheckName(*node));
    wrong.push_back(Annotate(CheckGeneralFields(node->param), node->written));
    for (int i = 0; i < node->param.top_size(); ++i) wrong.push_back(AddTop(i, split_blob, node));
    wrong.push_back(Annotate(SetLossWeights(node), node->written));
    wrong.push_back(Annotate(parameters_.Add(node), node->written));
    return wrong;
  }

  // Weights go by the layer's name, in files and among nets. Layers without weights may have one name.
  absl::Status CheckName(const LayerNode& node) {
    if (node.layer->parameters().empty()) return absl::OkStatus();
    const auto [found, is_new] = named_weights_.try_emplace(node.param.name(), graph_->nodes.size());
    if (is_new) return absl::OkStatus();
    const LayerNode& other = graph_->nodes[found->second];
    const auto top = [](const LayerNode& of) {
      return absl::StrCat(of.written, " with top \"", of.param.top(0), "\"");
    };
    const std::string at =
        options_.origin == nullptr ? "" : absl::StrCat(" (", other.place.substr(0, other.place.find(": ")), ")");
    return absl::InvalidArgumentError(absl::StrCat("two layers with weights are named \"", node.param.name(),
                                                   "\": ", top(other), at, " and ", top(node), "; rename one"));
  }

  // `written`: the bottom's name in the net's text.
  absl::StatusOr<Bottom> FindBottom(const LayerNode& node, const std::string& bottom, const std::string& written) {
    const auto found = blob_numbers_.find(bottom);
    if (found != blob_numbers_.end()) {
      if (found->second.has_value()) consumed_.insert(*found->second);
      return found->second;
    }
    std::vector<std::string> names;
    if (!errors_.full()) {
      for (const auto& blob : graph_->blobs) names.push_back(blob->written_name);
    }
    return absl::InvalidArgumentError(
        absl::StrCat(node.written, ": no layer before it has a top \"", written, "\"", DidYouMean(written, names)));
  }

  absl::Status CheckGeneralFields(const caffe::LayerParameter& param) const {
    if (param.has_phase() && param.phase() != options_.phase) {
      return absl::UnimplementedError(absl::StrCat("phase ", caffe::Phase_Name(param.phase()),
                                                   " differs from the net's, ", caffe::Phase_Name(options_.phase),
                                                   "; to leave the layer out of a phase write include { phase: ... }"));
    }
    if (param.propagate_down_size() != 0 && param.propagate_down_size() != param.bottom_size()) {
      return absl::InvalidArgumentError(absl::StrCat("propagate_down has ", param.propagate_down_size(),
                                                     " entries for ", param.bottom_size(),
                                                     " bottoms; give one each, or none"));
    }
    return absl::OkStatus();
  }

  // A layer in place makes a blob of its own, which has the bottom's name from there on. It has the bottom's memory too
  // if neither layer needs the old values. The blob is made in any case.
  absl::Status AddTop(int i, const std::string& split_blob, LayerNode* node) {
    const std::string& name = node->param.top(i);
    const auto found = blob_numbers_.find(name);
    const bool in_place = i < node->param.bottom_size() && node->param.bottom(i) == name;
    absl::Status status;
    if (found != blob_numbers_.end() && found->second.has_value() && !in_place) {
      const size_t producer = producers_[*found->second];
      const std::string first = producer < graph_->nodes.size()
                                    ? absl::StrCat("layer \"", graph_->nodes[producer].param.name(), "\"")
                                    : "another top of it";
      status = absl::InvalidArgumentError(
          absl::StrCat(node->written, ": top \"", name, "\" is already a top of ", first, "; rename it"));
    }
    const size_t blob = graph_->blobs.size();
    graph_->blobs.push_back(std::make_unique<Blob>(
        Blob{name, node->layer->top_shapes()[static_cast<size_t>(i)], split_blob.empty() ? name : split_blob}));
    graph_->blob_memory.push_back({blob, blob});
    if (in_place && i == 0 && SharesMemory(*node)) graph_->blob_memory[blob] = graph_->blob_memory[node->bottoms[0]];
    if (IsSplit(*node)) graph_->blob_memory[blob].data = graph_->blob_memory[node->bottoms[0]].data;
    node->tops.push_back(blob);
    blob_numbers_[name] = blob;
    producers_.push_back(graph_->nodes.size());
    return status;
  }

  // Its tops have the bottom's data; nothing is written over it.
  static bool IsSplit(const LayerNode& node) { return node.param.type() == "Split"; }

  bool SharesMemory(const LayerNode& node) const {
    const LayerNode& producer = graph_->nodes[producers_[node.bottoms[0]]];
    const Layer& below = *producer.layer;
    // A blob that is fed from outside stays as the caller wrote it.
    return node.layer->can_work_in_place() && !IsSplit(producer) && below.has_backward() &&
           !below.backward_reads_tops() && node.layer->top_shapes()[0] == graph_->blobs[node.bottoms[0]]->shape;
  }

  absl::Status SetLossWeights(LayerNode* node) {
    const auto& given = node->param.loss_weight();
    node->loss_weights.assign(node->tops.size(), 0.0f);
    if (given.empty()) {
      if (absl::EndsWith(node->param.type(), "Loss")) node->loss_weights[0] = 1;
      return absl::OkStatus();
    }
    if (given.size() != node->param.top_size()) {
      return absl::InvalidArgumentError(absl::StrCat("loss_weight has ", given.size(), " entries for ",
                                                     node->param.top_size(), " tops; give one each, or none"));
    }
    for (int i = 0; i < given.size(); ++i) {
      if (!std::isfinite(given[i])) return absl::InvalidArgumentError("loss_weight must be finite");
      node->loss_weights[static_cast<size_t>(i)] = given[i];
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
        return absl::UnimplementedError(
            absl::StrCat(node.place, node.written, ": top \"", graph_->blobs[node.tops[i]]->written_name,
                         "\" has a loss_weight and is read by another layer; use one of the two"));
      }
    }
    if (!any && options_.phase == caffe::TRAIN) {
      return absl::InvalidArgumentError(absl::StrCat(
          PlaceOf(-1), "the train net has no loss, so there is nothing to learn; add a SoftmaxWithLoss layer"));
    }
    return absl::OkStatus();
  }

  // The sum of the tops' diffs begins with the first one, which is where the sum is to be.
  void ShareDiffsOfSplits(const std::vector<bool>& carries_diff) {
    for (const LayerNode& node : graph_->nodes) {
      if (!IsSplit(node) || !carries_diff[node.bottoms[0]]) continue;
      const auto first =
          std::find_if(node.tops.begin(), node.tops.end(), [&](size_t top) { return carries_diff[top]; });
      if (first != node.tops.end()) graph_->blob_memory[*first].diff = graph_->blob_memory[node.bottoms[0]].diff;
    }
  }

  absl::Status AllocateParameters() {
    if (former_ != nullptr) {
      SAMOVAR_RETURN_IF_ERROR(CheckSameParameters());
      SwapParameters();
      return absl::OkStatus();
    }
    const int64_t elements = static_cast<int64_t>(graph_->layout.elements());
    SAMOVAR_RETURN_IF_ERROR(Annotate(graph_->weights.Allocate(elements), "weights of the net"));
    return Annotate(graph_->gradients.Allocate(elements), "gradients of the net");
  }

  absl::Status CheckSameOutputs() const {
    const v1::NetOutputs& ours = graph_->output_specs;
    const v1::NetOutputs& theirs = former_->output_specs;
    if (ours.outputs_size() == theirs.outputs_size()) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("the net reports ", ours.outputs_size(), " values for this record, and ", theirs.outputs_size(),
                     " for others: with records of several sizes, tops whose length depends on the size must be "
                     "read by a layer; add a Silence layer that reads them"));
  }

  void SwapParameters() {
    graph_->weights.Swap(former_->weights);
    graph_->gradients.Swap(former_->gradients);
    taken_over_ = !taken_over_;
  }

  // Parameters must not depend on the size of the records.
  absl::Status CheckSameParameters() const {
    const auto& ours = graph_->layout.blobs();
    const auto& theirs = former_->layout.blobs();
    for (int i = 0; i < std::min(ours.size(), theirs.size()); ++i) {
      if (ours[i].layer() == theirs[i].layer() && ShapeOf(ours[i]) == ShapeOf(theirs[i])) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("layer \"", ours[i].layer(), "\": its parameter ", ours[i].index(), " is ",
                       ToString(ShapeOf(ours[i])), " for this record, and ", ToString(ShapeOf(theirs[i])),
                       " for others: records of several sizes need layers whose weights do not depend on the "
                       "size; resize them to one size, or set crop_size in transform_param"));
    }
    return absl::OkStatus();
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

  void BindParameters(const LayerNode& node, LayerBinding* binding) {
    for (size_t i = 0; i < node.parameters.size(); ++i) {
      binding->weights.push_back(graph_->weights.data() + graph_->layout.blobs(node.parameters[i]).offset());
      binding->gradients.push_back(GradientOf(node, i));
    }
  }

  absl::Status BindLayer(LayerNode* node) {
    LayerBinding binding;
    for (size_t blob : node->bottoms) binding.bottoms.push_back(graph_->blobs[blob].get());
    for (size_t blob : node->writes.empty() ? node->tops : node->writes)
      binding.tops.push_back(graph_->blobs[blob].get());
    BindParameters(*node, &binding);
    for (const size_t above : node->absorbs) BindParameters(graph_->nodes[above], &binding);
    binding.propagate_down = node->propagate_down;
    binding.threads = graph_->loop.threads();
    binding.scratch = &graph_->scratch;
    binding.packed = options_.phase == caffe::TEST ? &graph_->packed : &graph_->scratch;
    graph_->scratch.Begin();
    return Annotate(node->layer->Bind(std::move(binding)), absl::StrCat(node->place, node->written));
  }

  void FindBatchSize() {
    const Blob* of = graph_->blobs[0].get();
    const auto fed = std::find_if(graph_->nodes.begin(), graph_->nodes.end(),
                                  [](const LayerNode& node) { return IsFedType(node.param.type()); });
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

  void ListOutputs() {
    struct Output {
      const Blob* blob;
      float loss_weight;
      float factor;
    };
    std::map<std::string, Output> by_name;
    for (const LayerNode& node : graph_->nodes) {
      for (size_t i = 0; i < node.tops.size(); ++i) {
        const Blob* blob = graph_->blobs[node.tops[i]].get();
        if (consumed_.count(node.tops[i]) == 0)
          by_name[blob->name] = {blob, node.loss_weights[i], graph_->output_factors[node.tops[i]]};
      }
    }
    // Each value has an entry of its own, here and in a job's description of its nets.
    for (const auto& [name, output] : by_name) {
      const int64_t elements = output.blob->elements();
      const bool by_mean = elements > Net::kMaxOutputValues;
      graph_->outputs.push_back(output.blob);
      graph_->factors_of_outputs.push_back(output.factor);
      for (int64_t value = 0; value < (by_mean ? 1 : elements); ++value) {
        v1::OutputSpec* spec = graph_->output_specs.add_outputs();
        spec->set_name(name);
        spec->set_loss_weight(output.loss_weight * static_cast<float>(by_mean ? elements : 1));
        spec->set_mean_of(by_mean ? static_cast<uint64_t>(elements) : 0);
      }
    }
    graph_->output_values.assign(static_cast<size_t>(graph_->output_specs.outputs_size()), 0.0f);
  }

  const NetOptions options_;
  NetGraph* const former_;
  bool taken_over_ = false;
  std::unique_ptr<NetGraph> graph_;
  int stated_batch_size_ = 0;
  ErrorList errors_;
  // By the name in the net with splits.
  std::map<std::string, Bottom> blob_numbers_;
  // By name: the first layer with weights.
  std::map<std::string, size_t> named_weights_;
  // One entry a blob: the node that writes it.
  std::vector<size_t> producers_;
  // Blobs that some layer reads.
  std::set<size_t> consumed_;
  NetParameters parameters_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<NetGraph>> BuildNet(const caffe::NetParameter& net, const NetOptions& options) {
  return Builder(options).Build(net);
}

absl::StatusOr<std::unique_ptr<NetGraph>> RebuildNet(const caffe::NetParameter& net, const NetOptions& options,
                                                     NetGraph* former) {
  return Builder(options, former).Build(net);
}

}  // namespace samovar
