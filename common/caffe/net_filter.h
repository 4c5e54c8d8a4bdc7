// A net as it is in one state (phase, level, stages): the layers whose rules match.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "caffe.pb.h"

namespace samovar {

// Stages and a level that a command adds to a net's state, as Caffe's --stage and --level do.
struct StateChoice {
  // Names, separated by commas.
  std::string stages;
  std::optional<int> level;

  bool operator==(const StateChoice&) const = default;
};

// Adds the stages; the level takes the place of the state's own.
void ApplyState(const StateChoice& choice, caffe::NetState* state);

// The flags that say the same, each after a blank: " --stage a,b --level 2"; empty: there is no choice.
std::string StateFlags(const StateChoice& choice);

// The layers of `net` that belong to the state, in order, without include and exclude rules, each with a phase (the
// state's if it had none); the result's state is `state`. A layer with include rules belongs if one matches, with
// exclude rules if none does, with neither always. The net's own state is not looked at: the caller has merged it.
// INVALID_ARGUMENT names a layer that has rules of both kinds. With `kept`, it is set to the number in `net` of each
// layer of the result.
absl::StatusOr<caffe::NetParameter> FilterNet(const caffe::NetParameter& net, const caffe::NetState& state,
                                              std::vector<int>* kept = nullptr);

}  // namespace samovar
