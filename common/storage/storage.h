// Storage is a place of users' files behind one interface, an implementation for each scheme of URIs. Programs reach it
// by a StorageTable, which finds the scheme.
//
// Thread safety: all methods may be called from any thread; a reader belongs to one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace samovar {

struct StoredFile {
  // Its name in the directory that it was listed in; empty for what a URI names itself.
  std::string name = "";
  bool is_directory = false;
  // A symbolic link of this machine; all else is of the file or directory that it leads to.
  bool is_link = false;
  uint64_t bytes = 0;
  // Another one when the content is another: an entity tag, or the time of the last change. Empty: not told.
  std::string version = "";
};

// Bytes of a stored file, from some place on.
class RangeReader {
 public:
  virtual ~RangeReader() = default;
  // The size of the whole file.
  virtual uint64_t file_bytes() const = 0;
  // Fills the beginning of `out`, and returns how many bytes it has filled: fewer than there is room for only where the
  // range or the file ends. Does I/O.
  virtual absl::StatusOr<size_t> Read(std::span<char> out) = 0;
};

// All methods do I/O, take URIs of the scheme, and name the URI in errors. INVALID_ARGUMENT: the scheme has no URI like
// this one; NOT_FOUND: there is nothing; FAILED_PRECONDITION: there is a file where there should be a directory;
// RESOURCE_EXHAUSTED: there is no room; otherwise the storage's error.
class Storage {
 public:
  virtual ~Storage() = default;

  // The path of a file, or of a directory with all that is in it, on this machine; to be read only. A place on this
  // machine copies nothing, and leaves it to the reader to find that there is nothing.
  virtual absl::StatusOr<std::string> Fetch(const std::string& uri) = 0;

  // Makes a file of the bytes that `write` writes to a file descriptor; replaces a file that was there. It is there
  // whole and durably when this returns OK, and else not at all. Makes the directories above it.
  virtual absl::Status Put(const std::string& uri, const std::function<absl::Status(int fd)>& write) = 0;

  // Makes a file of these bytes if there is none: ALREADY_EXISTS otherwise. Of several that do so at the same time one
  // succeeds. The file is there whole and durably when this returns OK. Makes the directories above it. A caller whose
  // answer was lost may be told ALREADY_EXISTS by its own file.
  virtual absl::Status Create(const std::string& uri, absl::string_view bytes) = 0;

  // The name, kind and size of the file or directory.
  virtual absl::StatusOr<StoredFile> Stat(const std::string& uri) = 0;

  // The entries of a directory, in the order of the names' bytes.
  virtual absl::StatusOr<std::vector<StoredFile>> List(const std::string& uri) = 0;

  // Removes a file or an empty directory.
  virtual absl::Status Remove(const std::string& uri) = 0;

  // Makes a directory, and those above it, where a place has directories; else there is nothing to be done.
  virtual absl::Status MakeDirectory(const std::string& uri) = 0;

  // Whether a file of this name could be written now, as far as can be told without making anything. The error says
  // what forbids it.
  virtual absl::Status CheckWritable(const std::string& uri) = 0;

  // Ends what waits for other machines, now and from now on, with CANCELLED: the process is to end.
  virtual void Stop() {}

  // Opens `bytes` bytes of a file, from `offset` on, or fewer if it ends before. INVALID_ARGUMENT: a directory.
  virtual absl::StatusOr<std::unique_ptr<RangeReader>> OpenRange(const std::string& uri, uint64_t offset,
                                                                 uint64_t bytes) = 0;
};

}  // namespace samovar
