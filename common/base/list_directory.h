// Lists a directory. Loops over std::filesystem's iterators throw when the file system fails in their middle; here
// that is an error like others.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace samovar {

// The names in a directory, without "." and "..", sorted. Errors of the file system, with the directory's name:
// NOT_FOUND if it is not there.
absl::StatusOr<std::vector<std::string>> ListDirectory(const std::string& directory);

}  // namespace samovar
