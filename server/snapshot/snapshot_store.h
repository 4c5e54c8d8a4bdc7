// SnapshotStore keeps a server's snapshots in an LMDB environment, one transaction each, so that one is all there or
// not at all; and other facts that the server must remember. Keys and records: README.md beside this file.
//
// Thread safety: all methods may be called from any thread; writers take turns. All of them do I/O.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "samovar/v1/snapshot.pb.h"
#include "server/snapshot/chunk_image.h"

namespace samovar {

class LmdbEnvironment;

class SnapshotStore {
 public:
  // Opens the store in a directory, which is made if it is not there. A directory belongs to one store at a time.
  static absl::StatusOr<std::unique_ptr<SnapshotStore>> Open(const std::string& directory);
  ~SnapshotStore();

  // Writes chunks and manifest. A snapshot of that job and iteration is replaced, all others stay. Durable when it
  // returns. Returns the bytes written. RESOURCE_EXHAUSTED: the disk is full; the store is as before. REQUIRES: the
  // manifest's chunks are those given, in order.
  absl::StatusOr<uint64_t> Write(const v1::SnapshotManifest& manifest, std::span<const ChunkImage> chunks);

  // A run and an iteration of it.
  using SnapshotId = std::pair<uint64_t, uint64_t>;
  // Removes the job's snapshots but these, and but those of a run that are newer than all of these of that run, all of
  // them or none; with none to keep, also the note of NoteShare. Durable when it returns. Returns how many were
  // removed. RESOURCE_EXHAUSTED: the disk is full; the store is as before.
  absl::StatusOr<uint32_t> Retain(const std::string& job_id, const std::set<SnapshotId>& keep);

  // NOT_FOUND: no such snapshot. DATA_LOSS: the manifest is damaged.
  absl::StatusOr<v1::SnapshotManifest> ReadManifest(const std::string& job_id, uint64_t iteration) const;

  // NOT_FOUND: the snapshot has no such chunk. DATA_LOSS: the record is damaged; the message names the chunk.
  absl::StatusOr<ChunkImage> ReadChunk(const std::string& job_id, uint64_t iteration, uint32_t chunk) const;

  // Remembers which share of a job this server holds, without iteration and bytes. Durable when it returns.
  absl::Status NoteShare(const v1::SnapshotInfo& share);
  // The last note for the job; nothing if there is none.
  absl::StatusOr<std::optional<v1::SnapshotInfo>> LastShare(const std::string& job_id) const;
  // Those of all jobs, by job.
  absl::StatusOr<std::vector<v1::SnapshotInfo>> LastShares() const;

  // Remembers that a coordinator of this epoch was here. Durable when it returns. A lower one than was noted changes
  // nothing.
  absl::Status NoteEpoch(uint64_t epoch);
  // The highest that was noted; 0 if none was.
  absl::StatusOr<uint64_t> Epoch() const;

  // The snapshots of one job, or of all if the id is empty: by job, then oldest first.
  absl::StatusOr<std::vector<v1::SnapshotInfo>> List(const std::string& job_id) const;

 private:
  explicit SnapshotStore(std::unique_ptr<LmdbEnvironment> environment);

  const std::unique_ptr<LmdbEnvironment> environment_;
};

}  // namespace samovar
