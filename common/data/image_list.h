// Lists of images as Caffe's tools and ImageData layers read them: a line an image, "NAME LABEL". Names may have spaces;
// the label is a whole number behind the last one. Empty lines are skipped.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace samovar {

struct ListedImage {
  std::string name;
  int label = 0;
  // Of the list, from 1.
  int line = 0;
};

// NOT_FOUND: no such file. INVALID_ARGUMENT: a line that is none, by its number; or there are none at all.
absl::StatusOr<std::vector<ListedImage>> ReadImageList(const std::string& path);

// The names in a file that lists files, a line each. INVALID_ARGUMENT: there are none, or it is an HDF5 file itself.
absl::StatusOr<std::vector<std::string>> ReadFileList(const std::string& path);

// "LIST:LINE": how errors name an image of the list.
std::string PlaceOf(const std::string& list, const ListedImage& image);

// Root and name, put together as Caffe does, but with a "/" between them where both lack it.
std::string ImagePath(const std::string& root, const std::string& name);

// The bytes of an image. The message of an error names it.
absl::StatusOr<std::string> ReadImageFile(const std::string& path);

}  // namespace samovar
