#include "common/caffe/net_origin.h"

#include "absl/strings/str_cat.h"

namespace samovar {

std::string NetOrigin::Prefix(int layer) const {
  const bool known = layer >= 0 && layer < static_cast<int>(layers.size());
  const std::string& place = known ? layers[static_cast<size_t>(layer)] : file;
  return absl::StrCat(place, place.empty() ? "" : ": ", name, name.empty() ? "" : ": ");
}

}  // namespace samovar
