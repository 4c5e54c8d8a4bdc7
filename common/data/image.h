// An image in memory, as records hold it.
#pragma once

#include <string>

#include "common/data/record_shape.h"

namespace samovar {

// `data` has shape.elements() bytes, planar. Planes of colour images are in the order blue, green, red, which is how
// OpenCV, and so Caffe, has them; a fourth plane is alpha.
struct Image {
  RecordShape shape;
  std::string data;
};

// The channels that an encoded image is decoded to.
enum class ImageChannels {
  kAsStored,  // 1 if it is gray, 3 if it has colours, 4 if it has transparent ones
  kColour,    // 3
  kGray,      // 1
};

}  // namespace samovar
