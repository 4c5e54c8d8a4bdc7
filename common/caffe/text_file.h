// Text that people write: prototxt files, lists of files. Editors put marks in front of it that people do not see.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "common/storage/storage_table.h"

namespace samovar {

// The file's text, without the byte order mark of UTF-8 that it may begin with. Errors as ReadFile's; INVALID_ARGUMENT,
// with what to do, also where the text begins with the mark of UTF-16 or UTF-32.
absl::StatusOr<std::string> ReadTextFile(const std::string& path, uint64_t max_bytes, const StorageTable& storage);

}  // namespace samovar
