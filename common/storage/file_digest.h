// Tells whether a file still has the same content: by a digest, since files are replaced under their names.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/storage/storage_table.h"

namespace samovar {

// The digest of all bytes of a regular file, a path or a URI, as Digest::Hex gives it. Errors as ReadFile's.
absl::StatusOr<std::string> DigestOfFile(const std::string& path, const StorageTable& storage);
// The same for a path of this machine, of what was fetched for one.
absl::StatusOr<std::string> DigestOfLocalFile(const std::string& path);

// FAILED_PRECONDITION, which names the file and says what to do, unless the digests are equal.
absl::Status CheckDigest(const std::string& path, const std::string& found, const std::string& expected);

}  // namespace samovar
