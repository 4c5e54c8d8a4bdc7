// ExportedSnapshot is a snapshot of a job in a directory of its own, from which a job can begin on any number of
// servers:
//
//   manifest                 v1.ExportManifest as text, written last: without it the directory is no snapshot
//   server-<i>-of-<n>.chunks the share of server i: v1.ChunkRecords, whose places the manifest names
//
// The directory is in a storage, or at a path, that all servers see. The command reads a snapshot to find errors before
// anything is started; each server reads the chunks of its share.
//
// Thread safety: immutable. All methods but the accessors do I/O.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caffe.pb.h"
#include "common/storage/storage_table.h"
#include "samovar/v1/layout.pb.h"
#include "samovar/v1/snapshot.pb.h"

namespace samovar {

class ExportedSnapshot {
 public:
  // NOT_FOUND: there is no manifest; FAILED_PRECONDITION: it is of another format; DATA_LOSS: it is damaged. The
  // message names it.
  static absl::StatusOr<ExportedSnapshot> Open(const std::string& directory, const StorageTable& storage);
  // The same, or, in a directory without a manifest, the snapshot of the highest iteration among its subdirectories.
  // FAILED_PRECONDITION: these are of several jobs.
  static absl::StatusOr<ExportedSnapshot> Find(const std::string& path, const StorageTable& storage);

  const std::string& directory() const { return directory_; }
  std::string manifest_path() const;
  const v1::ExportManifest& manifest() const { return manifest_; }

  // Whether a job can begin from it. FAILED_PRECONDITION: the net or the solver's type differs, or max_iter is before
  // it.
  absl::Status CheckFits(const v1::ParameterLayout& layout, const caffe::SolverParameter& solver) const;
  // Whether all files are there, as long as they should be. NOT_FOUND: one is not; DATA_LOSS: one has another length.
  absl::Status CheckSizes() const;
  // Reads all files. NOT_FOUND: one is not there; DATA_LOSS: one is damaged or cut. The message names it.
  absl::Status CheckFiles() const;
  // The ChunkRecord of a chunk, serialised. Errors as CheckFiles. REQUIRES: the manifest's layout has such a chunk
  absl::StatusOr<std::string> ReadRecord(uint32_t chunk) const;

 private:
  // Which file a chunk is in, and which of its chunks it is.
  struct Place {
    int file = -1;
    int index = 0;
  };

  ExportedSnapshot(std::string directory, v1::ExportManifest manifest, const StorageTable& storage)
      : directory_(std::move(directory)), manifest_(std::move(manifest)), storage_(storage) {}
  // A file of the snapshot from `offset` on. DATA_LOSS: it has not the size that the manifest says.
  absl::StatusOr<std::unique_ptr<RangeReader>> OpenFile(const v1::ExportedFile& file, uint64_t offset,
                                                        uint64_t bytes) const;
  absl::StatusOr<std::string> ReadRecordOf(const v1::ExportedFile& file, const v1::ExportedChunk& chunk) const;
  // The error says what is wrong with the manifest.
  absl::Status FindPlaces();

  std::string directory_;
  v1::ExportManifest manifest_;
  StorageTable storage_;
  // By chunk.
  std::vector<Place> places_;
};

// "<directory>/<job>_iter_<iteration>"
std::string ExportPath(const std::string& directory, const std::string& job_id, uint64_t iteration);

// Completes the snapshot in the directory, whose files are durable: sets format and checksum, and writes the manifest.
// Durable when it returns. RESOURCE_EXHAUSTED: the disk is full.
absl::Status WriteExportManifest(const std::string& directory, v1::ExportManifest manifest,
                                 const StorageTable& storage);

// Removes a snapshot, the manifest first, or the rest of one; other files stay, and their directory.
void RemoveExport(const std::string& directory, const StorageTable& storage);

}  // namespace samovar
