// Files that a net names.
#pragma once

#include <string>

#include "caffe.pb.h"

namespace samovar {

// Makes the names of the files and directories that layers read absolute, as ResolvePath does; they stand in `file`.
void ResolveSources(const std::string& file, caffe::NetParameter* net);

}  // namespace samovar
