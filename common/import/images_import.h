// Import of image files into a Caffe LMDB, as Caffe's convert_imageset does: keys are the number of the line, "%08d",
// "_" and the image's name in the list.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "common/import/record_import.h"

namespace samovar {

struct ImportImagesOptions {
  // A list of images (image_list.h), and where their names begin.
  std::string list;
  std::string root;
  // Pixels to resize all images to; 0: as they are.
  int height = 0;
  int width = 0;
  // One channel instead of three.
  bool gray = false;
  // Keep images as JPEG or PNG: the files themselves, or, if they are resized or have other channels than asked for
  // (one, or three), encoded anew in the same format. So all records decode to as many channels, in any program.
  bool encoded = false;
  // Number the lines in a random order, drawn from the seed.
  bool shuffle = false;
  uint64_t seed = 0;
};

// Errors of RecordImport. Others name the image and its line in the list. INVALID_ARGUMENT: not an image; or one
// differs in size from the first, and they are neither resized nor kept encoded. DATA_LOSS: a damaged image.
absl::StatusOr<ImportSummary> ImportImages(const ImportImagesOptions& images, const std::string& lmdb_path,
                                           const ImportOptions& options);

}  // namespace samovar
