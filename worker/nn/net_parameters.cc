#include "worker/nn/net_parameters.h"

#include <cmath>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace samovar {
namespace {

Shape ShapeOf(const v1::ParameterBlob& blob) { return Shape(blob.shape().begin(), blob.shape().end()); }

// Statistics are measured: no rate and no decay moves them.
absl::Status CheckStatistic(const caffe::ParamSpec& spec) {
  if (!spec.has_lr_mult() || spec.lr_mult() == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("param: lr_mult is ", spec.lr_mult(),
                   ", but these parameters are measured, not learnt; write lr_mult: 0 or nothing"));
}

}  // namespace

absl::Status NetParameters::Add(LayerNode* node) {
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

absl::Status NetParameters::AddParameter(const v1::ParameterBlob& parameter, const caffe::ParamSpec& spec) {
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
absl::Status NetParameters::ShareParameter(const LayerNode& node, const v1::ParameterBlob& parameter,
                                           const caffe::ParamSpec& spec, int owned) {
  v1::ParameterBlob* blob = graph_->layout.mutable_blobs(owned);
  const std::string context = absl::StrCat("param \"", spec.name(), "\" is that of layer \"", blob->layer(), "\"");
  const bool statistic = parameter.rule() == v1::UPDATE_RULE_MOVING_AVERAGE;
  if (statistic != (blob->rule() == v1::UPDATE_RULE_MOVING_AVERAGE)) {
    return absl::InvalidArgumentError(
        absl::StrCat(context, ", but one of the two is learnt and the other one measured (the statistics ",
                     "of a BatchNorm layer); give them different names"));
  }
  if (statistic) SAMOVAR_RETURN_IF_ERROR(CheckStatistic(spec));
  const Shape ours = ShapeOf(parameter);
  const Shape theirs = ShapeOf(*blob);
  const bool permissive = spec.share_mode() == caffe::ParamSpec::PERMISSIVE;
  if (permissive ? Elements(ours) != Elements(theirs) : ours != theirs) {
    return absl::InvalidArgumentError(
        absl::StrCat(context, ", which has shape ", ToString(theirs), ", but here it is ", ToString(ours),
                     permissive ? "" : " (share_mode PERMISSIVE asks for equal counts only)"));
  }
  if (!statistic) SAMOVAR_RETURN_IF_ERROR(ShareMultipliers(spec, owned, context));
  // Each layer keeps its fraction of the part that the one before it has left.
  if (statistic)
    blob->set_moving_average_fraction(blob->moving_average_fraction() * parameter.moving_average_fraction());
  v1::SharedParameter* shared = graph_->layout.add_shared();
  shared->set_layer(node.param.name());
  shared->set_index(parameter.index());
  shared->set_blob(static_cast<uint32_t>(owned));
  return absl::OkStatus();
}

absl::Status NetParameters::ShareMultipliers(const caffe::ParamSpec& spec, int owned, const std::string& context) {
  v1::ParameterBlob* blob = graph_->layout.mutable_blobs(owned);
  auto& given = multipliers_given_[static_cast<size_t>(owned)];
  if (spec.has_lr_mult() && std::exchange(given.first, true) && blob->lr_mult() != spec.lr_mult()) {
    return absl::InvalidArgumentError(
        absl::StrCat(context, " with lr_mult ", blob->lr_mult(), ", but here it is ", spec.lr_mult()));
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
absl::Status NetParameters::Finish() {
  for (LayerNode& node : graph_->nodes) {
    for (int blob : node.parameters) node.learns.push_back(graph_->layout.blobs(blob).lr_mult() != 0);
  }
  // By blob: the part of a measurement that later layers keep.
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

}  // namespace samovar
