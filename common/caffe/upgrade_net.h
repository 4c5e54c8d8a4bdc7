// Nets in Caffe's older forms, brought to its present one.
//
// In Caffe's order:
//   (1) Transforms that stand in data_param, image_data_param or window_data_param of a V1 layer (scale, mean_file,
//       crop_size, mirror) move to its transform_param.
//       (Before that, layers of the first form become V1 layers, see upgrade_v0_net.h.)
//   (2) V1 layers, "layers { type: CONVOLUTION }", become "layer { type: "Convolution" }": blobs_lr and weight_decay
//       become lr_mult and decay_mult of param, and the names and share modes of blobs its name and share_mode.
//   (3) The net's input with input_shape or input_dim becomes its first layer, "input" of type Input; inputs without
//       shapes are dropped.
//   (4) BatchNorm with three params gets lr_mult and decay_mult 0 in each.
// Fields that Caffe does not touch stay: a transform in data_param of a "layer" has no effect there, nor here.
//
// Thread safety: functions may be called from any thread.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caffe.pb.h"
#include "common/caffe/source_map.h"
#include "common/storage/storage_table.h"

namespace samovar {

// "file:line:column" of a value of the net that is upgraded, as it was read.
using NetLocator = std::function<std::string(const std::vector<FieldStep>& path)>;

// Upgrades a user's net. INVALID_ARGUMENT, with where it stands: a net with "layers" and "layer", a layer without a
// type, with include and exclude rules, or inputs whose shapes do not fit them.
// The net is unchanged then. With `layers`, it is set to where each layer of the upgraded net stands; the layer for the
// net's inputs stands where the first of them does.
absl::Status UpgradeNet(const NetLocator& where, caffe::NetParameter* net, std::vector<std::string>* layers = nullptr);

// Upgrades a model's net, which needs only names and blobs: types and shapes of inputs may be missing.
// INVALID_ARGUMENT: a net with "layers" and "layer", or of the first form and wrong.
absl::Status UpgradeModel(caffe::NetParameter* model);

// ReadNetFile, upgraded. With `layers`, as UpgradeNet.
absl::StatusOr<caffe::NetParameter> LoadNet(const std::string& path, std::vector<std::string>* layers,
                                            const StorageTable& storage);

}  // namespace samovar
