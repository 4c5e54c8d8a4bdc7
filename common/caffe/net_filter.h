// A net as it is in one state (phase, level, stages): the layers whose rules match.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "caffe.pb.h"

namespace samovar {

// The layers of `net` that belong to the state, in order, without include and exclude rules, each with a phase (the
// state's if it had none); the result's state is `state`. A layer with include rules belongs if one matches, with
// exclude rules if none does, with neither always. The net's own state is not looked at: the caller has merged it.
// INVALID_ARGUMENT names a layer that has rules of both kinds. With `kept`, it is set to the number in `net` of each
// layer of the result.
absl::StatusOr<caffe::NetParameter> FilterNet(const caffe::NetParameter& net, const caffe::NetState& state,
                                              std::vector<int>* kept = nullptr);

}  // namespace samovar
