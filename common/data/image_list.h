// Lists of files as Caffe's layers read them, and of images as Caffe's tools and ImageData layers read them: a line an
// image, "NAME LABEL". Names may have spaces; the label is a whole number behind the last one. Empty lines are skipped.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/storage/storage_table.h"

namespace samovar {

struct ListedFile {
  std::string name;
  // The file's line in the list, from 1.
  int line = 0;
};

struct ListedImage : ListedFile {
  int label = 0;
};

// NOT_FOUND: no such file. INVALID_ARGUMENT: a line, named by number, has another form; or there are none.
absl::StatusOr<std::vector<ListedImage>> ReadImageList(const std::string& path, const StorageTable& storage);

// The names in a file that lists files, a line each. INVALID_ARGUMENT: there are none, or it is an HDF5 file itself.
absl::StatusOr<std::vector<ListedFile>> ReadFileList(const std::string& path, const StorageTable& storage);

// "LIST:LINE": how errors name a file of the list.
std::string PlaceOf(const std::string& list, const ListedFile& file);

// The end of a message about a listed file that is not there, if its path is relative: the directories that it was
// looked for in (FindFile). Empty if the path is absolute.
std::string WhereLookedFor(const std::string& path, const std::string& list);

// Root and name, put together as Caffe does, but with a "/" between them where both lack it. A name that is a URI stays
// as it is.
std::string ImagePath(const std::string& root, const std::string& name);

// The bytes of an image. The message of an error names it.
absl::StatusOr<std::string> ReadImageFile(const std::string& path, const StorageTable& storage);

}  // namespace samovar
