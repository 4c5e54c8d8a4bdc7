// Files that a net names.
#pragma once

#include <string>
#include <vector>

#include "caffe.pb.h"
#include "common/caffe/net_origin.h"

namespace samovar {

// Makes the names of the files and directories that layers read absolute, as ResolvePath does; they stand in `file`.
// Adds to `warnings`, with the layer's place, which of two that differ is taken; each warning is there once.
void ResolveSources(const std::string& file, const NetOrigin& origin, caffe::NetParameter* net,
                    std::vector<std::string>* warnings);

// The files that layers of the net read, besides records: mean images of data layers, matrices of InfogainLoss. Each
// once, in net order, as the net names them.
std::vector<std::string> FilesNamedIn(const caffe::NetParameter& net);

}  // namespace samovar
