// Split layers, which Caffe adds to a net where more than one layer takes the same blob.
#pragma once

#include <vector>

#include "caffe.pb.h"

namespace samovar {

// A net with its splits, and for each layer the layer of the written net that it comes from.
struct SplitNet {
  struct Source {
    // The written layer that it is or, if it was inserted, whose top it splits.
    int layer = 0;
    bool inserted = false;
  };

  caffe::NetParameter net;
  // One entry a layer of `net`.
  std::vector<Source> sources;
};

// The net with a layer of type "Split" behind each layer that has a top taken more than once, for each such top. It is
// named "<blob>_<layer>_<index of the top>_split", and its tops "<that>_0", "<that>_1" and so on, in the order of the
// layers that take them. A loss weight on the top counts as one taker, the first, and moves to the split with it: the
// split has the weight on its first top and 0 on the others.
//
// A bottom that no layer before makes stays as it is; the net's builder reports it. The net's layers are its filtered
// ones (net_filter.h). A net that has its splits is returned unchanged.
caffe::NetParameter InsertSplits(const caffe::NetParameter& net);
SplitNet InsertSplitsInto(const caffe::NetParameter& net);

}  // namespace samovar
