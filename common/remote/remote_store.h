// RemoteStore is a place of files on other machines, an implementation for each protocol. RemoteStorage makes a Storage
// of it: what it fetches, it copies.
//
// Thread safety: all methods may be called from any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/storage/storage.h"

namespace samovar {

// All methods do I/O and take URIs of the place's schemes; their errors name the URI, and no credential.
// INVALID_ARGUMENT: no URI of the place; NOT_FOUND: there is nothing; PERMISSION_DENIED and UNAUTHENTICATED: the place
// refuses this user; UNAVAILABLE: it could not be reached, or was too busy, for RetryPolicy::patience.
class RemoteStore {
 public:
  virtual ~RemoteStore() = default;

  virtual absl::StatusOr<StoredFile> Stat(const std::string& uri) = 0;

  // The entries of a directory, in the order of names' bytes. FAILED_PRECONDITION: it is a file.
  virtual absl::StatusOr<std::vector<StoredFile>> List(const std::string& uri) = 0;

  // Fills `out` with the bytes from `offset` on. REQUIRES: the file has them. ABORTED: it is not the `file` of Stat or
  // List any more; DATA_LOSS: the bytes are not those that the place holds.
  virtual absl::Status Read(const std::string& uri, const StoredFile& file, uint64_t offset, std::span<char> out) = 0;

  // Whether a file of this name could be written now, as far as can be told without writing. Errors name what forbids
  // it.
  virtual absl::Status CheckWritable(const std::string& uri) = 0;

  // Makes a directory, and those above it; a place that has none leaves it.
  virtual absl::Status MakeDirectory(const std::string& uri) = 0;

  // Makes a file of the first `bytes` bytes of `fd`, in place of what was there; it is there whole, or as it was.
  virtual absl::Status Write(const std::string& uri, int fd, uint64_t bytes) = 0;

  // As Storage::Create.
  virtual absl::Status Create(const std::string& uri, absl::string_view bytes) = 0;

  // Removes a file, or an empty directory.
  virtual absl::Status Remove(const std::string& uri) = 0;
};

// The largest piece that is read or written by one request, unless a file has too many of them: what bounds memory.
inline constexpr uint64_t kRemotePieceBytes = uint64_t{4} << 20;
// Requests for the pieces of one file that are under way beside each other.
inline constexpr int kRemoteRequests = 4;

}  // namespace samovar
