// Records of ImageData layers: image files that a list names, decoded, resized if the layer says so, and transformed.
// Tops: the image, and, where there are two, its label.
//
// Relative names are taken from root_folder; if the file is not there, from the directory of the list.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "caffe.pb.h"
#include "common/storage/storage_table.h"
#include "worker/feed/record_reader.h"

namespace samovar {

// `source`: the list (image_list.h). Decodes the first image, since its shape is that of all. Errors of ReadImageList,
// DecodeImage and Transformer::Create. INVALID_ARGUMENT: the number of tops; one of new_height and new_width without
// the other.
absl::StatusOr<std::unique_ptr<RecordReader>> OpenImageReader(const caffe::LayerParameter& layer, caffe::Phase phase,
                                                              const std::string& source, const StorageTable& storage);

}  // namespace samovar
