#include "worker/nn/net_parts.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/nn/fed_layer.h"
#include "worker/nn/layers/loss_normalization.h"

namespace samovar {
namespace {

// How a blob depends on the batch's records.
enum class Of {
  // The same for any records.
  kNone,
  // Values of each record, one record after the other.
  kRecords,
  // A mean over the records; a sum over them.
  kMean,
  kSum,
  // A mean over those positions alone whose label is not ignored.
  kValid,
  // Made of several records in another way.
  kMixed,
};

using Kinds = std::vector<Of>;

int CanonicalAxisOf(const Shape& shape, int axis) { return axis < 0 ? axis + static_cast<int>(shape.size()) : axis; }

Of OfReduction(const caffe::ReductionParameter& param, const Shape& bottom, Of kind) {
  if (kind != Of::kRecords) return Of::kMixed;
  if (CanonicalAxisOf(bottom, param.axis()) > 0) return Of::kRecords;
  return param.operation() == caffe::ReductionParameter::MEAN ? Of::kMean : Of::kSum;
}

// The kind of a loss that has loss_param.
Of OfNormalized(const caffe::LossParameter& param, caffe::LossParameter::NormalizationMode otherwise) {
  const absl::StatusOr<LossNormalization> normalization = LossNormalization::Of(param, otherwise);
  if (!normalization.ok()) return Of::kMixed;
  if (normalization->mode == caffe::LossParameter::NONE) return Of::kSum;
  return normalization->mode == caffe::LossParameter::VALID && normalization->has_ignore ? Of::kValid : Of::kMean;
}

Of OfLoss(const caffe::LayerParameter& param, const Shape& scores) {
  const std::string& type = param.type();
  if (type == "SigmoidCrossEntropyLoss") return OfNormalized(param.loss_param(), caffe::LossParameter::BATCH_SIZE);
  if (type != "SoftmaxWithLoss" && type != "InfogainLoss") return Of::kMean;
  const int axis = type == "InfogainLoss" ? param.infogain_loss_param().axis() : param.softmax_param().axis();
  if (CanonicalAxisOf(scores, axis) == 0) return Of::kMixed;
  return OfNormalized(param.loss_param(), caffe::LossParameter::VALID);
}

// Whether the layer computes along the axis of the records.
bool MixesRecords(const caffe::LayerParameter& param, const Shape& bottom) {
  const auto first = [&bottom](int axis) { return CanonicalAxisOf(bottom, axis) == 0; };
  if (param.type() == "Softmax") return first(param.softmax_param().axis());
  if (param.type() == "InnerProduct") return first(param.inner_product_param().axis());
  return param.type() == "ArgMax" && param.argmax_param().has_axis() && first(param.argmax_param().axis());
}

// The kind of the node's top number `top`. `bottoms`: the kinds of its bottoms.
Of KindOf(const NetGraph& graph, const LayerNode& node, size_t top, const Kinds& bottoms) {
  const std::string& type = node.param.type();
  // A Parameter is the same for all; data are not, unless they have another length than the batch.
  if (bottoms.empty()) {
    const Shape& shape = node.layer->top_shapes()[top];
    const bool records = IsFedType(type) || (!shape.empty() && shape[0] == graph.batch_size);
    return type != "Parameter" && records ? Of::kRecords : Of::kNone;
  }
  if (type == "Split") return bottoms[0];
  const auto is = [](Of kind) { return [kind](Of other) { return kind == other; }; };
  if (std::all_of(bottoms.begin(), bottoms.end(), is(Of::kNone))) return Of::kNone;
  if (!std::all_of(bottoms.begin(), bottoms.end(), [](Of kind) { return kind == Of::kNone || kind == Of::kRecords; }))
    return Of::kMixed;
  const Shape& shape = graph.blobs[node.bottoms[0]]->shape;
  if (absl::EndsWith(type, "Loss")) return top == 0 ? OfLoss(node.param, shape) : Of::kRecords;
  if (type == "Accuracy") return Of::kMean;
  if (type == "Reduction") return OfReduction(node.param.reduction_param(), shape, bottoms[0]);
  return MixesRecords(node.param, shape) ? Of::kMixed : Of::kRecords;
}

absl::Status Refuse(const LayerNode& node, Of kind, int parts) {
  const std::string name = absl::StrCat(node.place, node.written);
  if (kind == Of::kValid) {
    return absl::UnimplementedError(absl::StrCat(
        name,
        ": with ignore_label and normalization VALID the loss is divided by the number of labels that count, and the ",
        parts,
        " parts of a batch in sync mode have different ones; write loss_param { normalization: FULL } or BATCH_SIZE, "
        "or take "
        "--parts 1, or --mode async or bounded"));
  }
  return absl::UnimplementedError(absl::StrCat(
      name, ": its loss is neither a mean nor a sum over the records, so that it cannot be put together from the ",
      parts, " parts of a batch in sync mode; take --parts 1, or --mode async or bounded"));
}

}  // namespace

absl::Status PlanParts(int parts, NetGraph* graph) {
  graph->output_factors.assign(graph->blobs.size(), 1.0f);
  for (LayerNode& node : graph->nodes) node.loss_factors.assign(node.tops.size(), 1.0f);
  if (parts <= 1) return absl::OkStatus();
  Kinds kinds(graph->blobs.size(), Of::kNone);
  for (LayerNode& node : graph->nodes) {
    Kinds bottoms;
    for (const size_t bottom : node.bottoms) bottoms.push_back(kinds[bottom]);
    for (size_t i = 0; i < node.tops.size(); ++i) {
      const Of kind = KindOf(*graph, node, i, bottoms);
      kinds[node.tops[i]] = kind;
      if (kind == Of::kSum) graph->output_factors[node.tops[i]] = static_cast<float>(parts);
      if (node.loss_weights[i] == 0) continue;
      if (kind == Of::kValid || kind == Of::kMixed) return Refuse(node, kind, parts);
      // All values of a top with a loss weight are added up.
      if (kind == Of::kSum || kind == Of::kRecords) node.loss_factors[i] = static_cast<float>(parts);
    }
  }
  return absl::OkStatus();
}

}  // namespace samovar
