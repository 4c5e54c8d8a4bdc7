#include "common/caffe/net_filter.h"

#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace samovar {
namespace {

bool HasStage(const caffe::NetState& state, const std::string& stage) {
  return std::find(state.stage().begin(), state.stage().end(), stage) != state.stage().end();
}

bool Matches(const caffe::NetStateRule& rule, const caffe::NetState& state) {
  if (rule.has_phase() && rule.phase() != state.phase()) return false;
  if (rule.has_min_level() && state.level() < rule.min_level()) return false;
  if (rule.has_max_level() && state.level() > rule.max_level()) return false;
  const auto has = [&state](const std::string& stage) { return HasStage(state, stage); };
  return std::all_of(rule.stage().begin(), rule.stage().end(), has) &&
         std::none_of(rule.not_stage().begin(), rule.not_stage().end(), has);
}

bool Belongs(const caffe::LayerParameter& layer, const caffe::NetState& state) {
  const auto matches = [&state](const caffe::NetStateRule& rule) { return Matches(rule, state); };
  if (layer.include_size() > 0) return std::any_of(layer.include().begin(), layer.include().end(), matches);
  return std::none_of(layer.exclude().begin(), layer.exclude().end(), matches);
}

}  // namespace

void ApplyState(const StateChoice& choice, caffe::NetState* state) {
  for (const absl::string_view stage : absl::StrSplit(choice.stages, ',', absl::SkipWhitespace())) {
    state->add_stage(std::string(absl::StripAsciiWhitespace(stage)));
  }
  if (choice.level.has_value()) state->set_level(*choice.level);
}

std::string StateFlags(const StateChoice& choice) {
  return absl::StrCat(choice.stages.empty() ? "" : absl::StrCat(" --stage ", choice.stages),
                      choice.level.has_value() ? absl::StrCat(" --level ", *choice.level) : "");
}

absl::StatusOr<caffe::NetParameter> FilterNet(const caffe::NetParameter& net, const caffe::NetState& state,
                                              std::vector<int>* kept) {
  caffe::NetParameter filtered = net;
  filtered.clear_layer();
  *filtered.mutable_state() = state;
  if (kept != nullptr) kept->clear();
  for (int i = 0; i < net.layer_size(); ++i) {
    const caffe::LayerParameter& layer = net.layer(i);
    if (layer.include_size() > 0 && layer.exclude_size() > 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("layer \"", layer.name(), "\" has include and exclude rules; keep those of one kind"));
    }
    if (!Belongs(layer, state)) continue;
    caffe::LayerParameter* copy = filtered.add_layer();
    *copy = layer;
    copy->clear_include();
    copy->clear_exclude();
    if (!copy->has_phase()) copy->set_phase(state.phase());
    if (kept != nullptr) kept->push_back(i);
  }
  return filtered;
}

}  // namespace samovar
