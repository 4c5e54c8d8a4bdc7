#include "common/caffe/insert_splits.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace samovar {
namespace {

// A top: the layer's index and the top's index in it.
using Top = std::pair<int, int>;

struct Takers {
  int count = 0;
  // Split tops given to takers so far.
  int given = 0;
  float loss_weight = 0;
};

// Which top each bottom takes, and how often each top is taken.
class Wiring {
 public:
  explicit Wiring(const caffe::NetParameter& net) {
    // A name may be made again by a layer that works in place: it means the last one before.
    std::map<std::string, Top> last;
    for (int i = 0; i < net.layer_size(); ++i) {
      const caffe::LayerParameter& layer = net.layer(i);
      for (int j = 0; j < layer.bottom_size(); ++j) {
        const auto found = last.find(layer.bottom(j));
        if (found == last.end()) continue;
        source_[{i, j}] = found->second;
        ++takers_[found->second].count;
      }
      for (int j = 0; j < layer.top_size(); ++j) last[layer.top(j)] = {i, j};
      const int weighted = std::min(layer.loss_weight_size(), layer.top_size());
      for (int j = 0; j < weighted; ++j) {
        if (layer.loss_weight(j) == 0) continue;
        Takers& takers = takers_[{i, j}];
        takers.loss_weight = layer.loss_weight(j);
        ++takers.count;
      }
    }
  }

  // Null if the top needs no split.
  Takers* SplitOf(const Top& top) {
    const auto found = takers_.find(top);
    return found != takers_.end() && found->second.count > 1 ? &found->second : nullptr;
  }

  // Null if no layer before makes that bottom.
  const Top* SourceOf(int layer, int bottom) const {
    const auto found = source_.find({layer, bottom});
    return found == source_.end() ? nullptr : &found->second;
  }

 private:
  std::map<std::pair<int, int>, Top> source_;
  std::map<Top, Takers> takers_;
};

std::string SplitName(const caffe::LayerParameter& layer, int top) {
  return absl::StrCat(layer.top(top), "_", layer.name(), "_", top, "_split");
}

void AddSplit(const caffe::LayerParameter& layer, int top, const Takers& takers, caffe::NetParameter* net) {
  caffe::LayerParameter* split = net->add_layer();
  split->set_name(SplitName(layer, top));
  split->set_type("Split");
  if (layer.has_phase()) split->set_phase(layer.phase());
  split->add_bottom(layer.top(top));
  for (int k = 0; k < takers.count; ++k) {
    split->add_top(absl::StrCat(split->name(), "_", k));
    if (takers.loss_weight != 0) split->add_loss_weight(k == 0 ? takers.loss_weight : 0);
  }
}

}  // namespace

SplitNet InsertSplitsInto(const caffe::NetParameter& net) {
  Wiring wiring(net);
  SplitNet split;
  caffe::NetParameter& result = split.net;
  result = net;
  result.clear_layer();
  for (int i = 0; i < net.layer_size(); ++i) {
    const caffe::LayerParameter& layer = net.layer(i);
    caffe::LayerParameter* copy = result.add_layer();
    *copy = layer;
    split.sources.push_back({i, false});
    for (int j = 0; j < layer.bottom_size(); ++j) {
      const Top* source = wiring.SourceOf(i, j);
      Takers* takers = source == nullptr ? nullptr : wiring.SplitOf(*source);
      if (takers == nullptr) continue;
      copy->set_bottom(j, absl::StrCat(SplitName(net.layer(source->first), source->second), "_", takers->given++));
    }
    for (int j = 0; j < layer.top_size(); ++j) {
      Takers* takers = wiring.SplitOf({i, j});
      if (takers == nullptr) continue;
      if (takers->loss_weight != 0) {
        // The split's first top carries the weight; the other weights of this layer stay.
        copy->set_loss_weight(j, 0);
        ++takers->given;
      }
      AddSplit(layer, j, *takers, &result);
      split.sources.push_back({i, true});
    }
  }
  return split;
}

caffe::NetParameter InsertSplits(const caffe::NetParameter& net) { return InsertSplitsInto(net).net; }

}  // namespace samovar
