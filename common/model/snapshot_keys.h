// The keys of a server's snapshot store (server/snapshot/README.md), for the server and for the command that looks for
// snapshots in the directory of a run.
//
// Thread safety: functions may be called from any thread.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "common/storage/big_endian.h"

namespace samovar {

inline constexpr char kSnapshotManifestPrefix = 'm';
inline constexpr char kSnapshotChunkPrefix = 'c';

// All keys of a job with this prefix begin so. Ids have no zero byte, hence none is another's prefix.
inline std::string SnapshotJobKey(char prefix, absl::string_view job_id) {
  std::string key(1, prefix);
  key.append(job_id.data(), job_id.size());
  key.push_back('\0');
  return key;
}

inline std::string SnapshotManifestKey(absl::string_view job_id, uint64_t iteration) {
  std::string key = SnapshotJobKey(kSnapshotManifestPrefix, job_id);
  AppendBigEndian(iteration, &key);
  return key;
}

inline std::string SnapshotChunkKey(absl::string_view job_id, uint64_t iteration, uint32_t chunk) {
  std::string key = SnapshotJobKey(kSnapshotChunkPrefix, job_id);
  AppendBigEndian(iteration, &key);
  AppendBigEndian(chunk, &key);
  return key;
}

// Whether the key is that of a manifest of any job.
inline bool IsSnapshotManifestKey(absl::string_view key) {
  return key.size() > sizeof(uint64_t) && key.front() == kSnapshotManifestPrefix;
}

// REQUIRES: IsSnapshotManifestKey(key)
inline uint64_t IterationOfManifestKey(absl::string_view key) {
  return BigEndianIn(key.substr(key.size() - sizeof(uint64_t)));
}

}  // namespace samovar
