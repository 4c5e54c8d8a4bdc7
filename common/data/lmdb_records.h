// LmdbRecords are the values of an LMDB by position. Positions number the records in the order of keys, from 0.
//
// Thread safety: all methods may be called from any thread.
// Invariants:
//   (1) one object a directory: opening it again while it is open gives the same one (LMDB's rule, see lmdb.h).
//   (2) its records do not change: one read transaction stays open as long as the object lives.
//   (3) index_[i] is the value at position i, inside the map. 16 bytes a record. Views instead of keys: a read is then
//       a pointer away, and the map of a read-only environment never moves. Keys are looked up only to name records.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/storage/lmdb.h"

namespace samovar {

class LmdbRecords {
 public:
  // Opens an LMDB directory for reading and lists its records: a few milliseconds for 60,000 small ones in memory.
  // NOT_FOUND: no such directory. INVALID_ARGUMENT: not an LMDB, or no records. DATA_LOSS: a damaged file.
  static absl::StatusOr<std::shared_ptr<const LmdbRecords>> Open(const std::string& path);

  uint64_t size() const { return index_.size(); }
  // As given to the Open that made the object.
  const std::string& path() const { return path_; }
  // Valid as long as the object. May read the disk. REQUIRES: position < size()
  absl::string_view value(uint64_t position) const { return index_[position]; }

  // Appends all keys, in order. DATA_LOSS: a damaged file.
  absl::Status AppendKeys(std::vector<std::string>* keys) const;
  // The keys at these positions, which ascend. Walks over all records up to the last one. DATA_LOSS: a damaged file.
  absl::StatusOr<std::vector<std::string>> KeysAt(std::span<const uint64_t> positions) const;
  // "PATH, key KEY": how errors name a record. Slow.
  std::string NameOf(uint64_t position) const;

 private:
  LmdbRecords(std::string path, std::unique_ptr<LmdbEnvironment> environment, LmdbTransaction transaction)
      : path_(std::move(path)), environment_(std::move(environment)), transaction_(std::move(transaction)) {}

  static absl::StatusOr<std::unique_ptr<const LmdbRecords>> OpenNew(const std::string& path);
  absl::Status BuildIndex();

  const std::string path_;
  const std::unique_ptr<LmdbEnvironment> environment_;
  const LmdbTransaction transaction_;
  std::vector<absl::string_view> index_;  // constant after Open
};

}  // namespace samovar
