// Nets in Caffe's first form, "layers { layer { name: "conv1" type: "conv" kernelsize: 5 } bottom: ... }", brought to
// the second (V1).
//
// As Caffe does it: a padding layer goes, and its pad becomes that of the convolution or pooling above it; fields go to
// the message of the layer's type. A field that means nothing to a layer's type is refused, where Caffe logs an error
// and goes on.
//
// Thread safety: functions may be called from any thread.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "caffe.pb.h"
#include "common/caffe/source_map.h"

namespace samovar {

// Whether some layer is in the first form.
bool IsV0Net(const caffe::NetParameter& net);

// Whether it is a padding layer of the first form, which the upgrade removes.
bool IsV0Padding(const caffe::V1LayerParameter& layer);

// `where`: "file:line:column" of a value of the net as it was read. INVALID_ARGUMENT, with where it stands: an unknown
// type, a field that the type does not have, a padding layer that cannot be joined. The net is unchanged then.
// REQUIRES: IsV0Net(*net)
absl::Status UpgradeV0Net(const std::function<std::string(const std::vector<FieldStep>& path)>& where,
                          caffe::NetParameter* net);

}  // namespace samovar
