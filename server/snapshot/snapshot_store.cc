#include "server/snapshot/snapshot_store.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/status_macros.h"
#include "common/model/epochs.h"
#include "common/model/snapshot_keys.h"
#include "common/storage/big_endian.h"
#include "common/storage/lmdb.h"
#include "server/snapshot/chunk_record.h"

namespace samovar {
namespace {

constexpr char kSharePrefix = 'p';
constexpr absl::string_view kEpochKey = "e";

std::string NameOf(const std::string& job_id, uint64_t iteration) {
  return absl::StrCat("snapshot ", iteration, " of job \"", job_id, "\"");
}

absl::StatusOr<v1::SnapshotManifest> ParseManifest(absl::string_view bytes, const std::string& name) {
  v1::SnapshotManifest manifest;
  if (!manifest.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::DataLossError(absl::StrCat(name, ": its manifest cannot be parsed"));
  }
  return manifest;
}

// The manifests whose keys begin with the prefix, in the order of keys.
absl::StatusOr<std::vector<v1::SnapshotManifest>> ReadManifests(const LmdbTransaction& transaction,
                                                                const std::string& prefix) {
  std::vector<v1::SnapshotManifest> manifests;
  SAMOVAR_ASSIGN_OR_RETURN(LmdbCursor cursor, transaction.OpenCursor());
  SAMOVAR_ASSIGN_OR_RETURN(bool found, cursor.SeekAtLeast(prefix));
  while (found && absl::StartsWith(cursor.key(), prefix)) {
    SAMOVAR_ASSIGN_OR_RETURN(
        v1::SnapshotManifest manifest,
        ParseManifest(cursor.value(), absl::StrCat("snapshot \"", absl::CHexEscape(cursor.key()), "\"")));
    manifests.push_back(std::move(manifest));
    SAMOVAR_ASSIGN_OR_RETURN(found, cursor.Next());
  }
  return manifests;
}

// As AppendNumber wrote it; 0 if it was not.
absl::StatusOr<uint64_t> ReadEpoch(const LmdbTransaction& transaction) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::optional<absl::string_view> bytes, transaction.Get(kEpochKey));
  if (!bytes.has_value()) return 0;
  if (bytes->size() != sizeof(uint64_t)) return absl::DataLossError("the note of the highest epoch is damaged");
  uint64_t epoch = 0;
  for (const char byte : *bytes) epoch = epoch << 8 | static_cast<unsigned char>(byte);
  // No coordinator comes to such an epoch: it was noted from a call of another program, and would shut all coordinators
  // out.
  return epoch > kMaxEpoch ? 0 : epoch;
}

absl::Status Remove(const v1::SnapshotManifest& manifest, LmdbTransaction* transaction) {
  const v1::SnapshotInfo& info = manifest.info();
  for (uint32_t chunk : manifest.chunks()) {
    SAMOVAR_RETURN_IF_ERROR(transaction->Delete(SnapshotChunkKey(info.job_id(), info.iteration(), chunk)));
  }
  return transaction->Delete(SnapshotManifestKey(info.job_id(), info.iteration()));
}

// Removes the snapshot of that name, if there is one.
absl::Status RemoveFormer(const v1::SnapshotInfo& written, LmdbTransaction* transaction) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<v1::SnapshotManifest> manifests,
                           ReadManifests(*transaction, SnapshotManifestKey(written.job_id(), written.iteration())));
  for (const v1::SnapshotManifest& manifest : manifests) SAMOVAR_RETURN_IF_ERROR(Remove(manifest, transaction));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<SnapshotStore>> SnapshotStore::Open(const std::string& directory) {
  auto environment = LmdbEnvironment::Open(directory, {});
  if (!environment.ok()) return Annotate(environment.status(), "snapshot store");
  return std::unique_ptr<SnapshotStore>(new SnapshotStore(*std::move(environment)));
}

SnapshotStore::SnapshotStore(std::unique_ptr<LmdbEnvironment> environment) : environment_(std::move(environment)) {}

SnapshotStore::~SnapshotStore() = default;

absl::StatusOr<uint64_t> SnapshotStore::Write(const v1::SnapshotManifest& manifest,
                                              std::span<const ChunkImage> chunks) {
  const v1::SnapshotInfo& info = manifest.info();
  uint64_t bytes = 0;
  // May run more than once: the map grows when it is full.
  const absl::Status written = environment_->Write([&](LmdbTransaction& transaction) -> absl::Status {
    bytes = 0;
    SAMOVAR_RETURN_IF_ERROR(RemoveFormer(info, &transaction));
    for (const ChunkImage& image : chunks) {
      const std::string record = MakeChunkRecord(image);
      SAMOVAR_RETURN_IF_ERROR(transaction.Put(SnapshotChunkKey(info.job_id(), info.iteration(), image.chunk), record));
      bytes += record.size();
    }
    v1::SnapshotManifest last = manifest;
    last.mutable_info()->set_bytes(bytes);
    return transaction.Put(SnapshotManifestKey(info.job_id(), info.iteration()), last.SerializeAsString());
  });
  if (!written.ok()) return Annotate(written, absl::StrCat("writing ", NameOf(info.job_id(), info.iteration())));
  return bytes;
}

absl::StatusOr<uint32_t> SnapshotStore::Retain(const std::string& job_id, const std::set<SnapshotId>& keep) {
  uint32_t removed = 0;
  const absl::Status written = environment_->Write([&](LmdbTransaction& transaction) -> absl::Status {
    removed = 0;
    SAMOVAR_ASSIGN_OR_RETURN(const std::vector<v1::SnapshotManifest> manifests,
                             ReadManifests(transaction, SnapshotJobKey(kSnapshotManifestPrefix, job_id)));
    for (const v1::SnapshotManifest& manifest : manifests) {
      const SnapshotId id(manifest.info().run(), manifest.info().iteration());
      // The set is in order, by run: the newest of a run is the last before the next run's.
      const auto beyond = keep.upper_bound({id.first, UINT64_MAX});
      const bool newer = beyond != keep.begin() && *std::prev(beyond) < id && std::prev(beyond)->first == id.first;
      if (newer || keep.contains(id)) continue;
      SAMOVAR_RETURN_IF_ERROR(Remove(manifest, &transaction));
      ++removed;
    }
    return keep.empty() ? transaction.Delete(SnapshotJobKey(kSharePrefix, job_id)) : absl::OkStatus();
  });
  if (!written.ok()) return Annotate(written, absl::StrCat("removing old snapshots of job \"", job_id, "\""));
  return removed;
}

absl::StatusOr<v1::SnapshotManifest> SnapshotStore::ReadManifest(const std::string& job_id, uint64_t iteration) const {
  SAMOVAR_ASSIGN_OR_RETURN(LmdbTransaction transaction, environment_->BeginRead());
  SAMOVAR_ASSIGN_OR_RETURN(std::optional<absl::string_view> bytes,
                           transaction.Get(SnapshotManifestKey(job_id, iteration)));
  if (bytes.has_value()) return ParseManifest(*bytes, NameOf(job_id, iteration));
  return absl::NotFoundError(
      absl::StrCat(NameOf(job_id, iteration), " is not in this server's store; ListSnapshots tells which are"));
}

absl::StatusOr<ChunkImage> SnapshotStore::ReadChunk(const std::string& job_id, uint64_t iteration,
                                                    uint32_t chunk) const {
  SAMOVAR_ASSIGN_OR_RETURN(LmdbTransaction transaction, environment_->BeginRead());
  SAMOVAR_ASSIGN_OR_RETURN(std::optional<absl::string_view> bytes,
                           transaction.Get(SnapshotChunkKey(job_id, iteration, chunk)));
  if (!bytes.has_value()) {
    return absl::NotFoundError(
        absl::StrCat("chunk ", chunk, " of ", NameOf(job_id, iteration), " is not in this server's store"));
  }
  absl::StatusOr<ChunkImage> image = ParseChunkRecord(*bytes, chunk);
  if (!image.ok()) {
    return absl::DataLossError(absl::StrCat("chunk ", chunk, " of ", NameOf(job_id, iteration),
                                            " is damaged: ", image.status().message(), "; restore an older snapshot"));
  }
  return image;
}

absl::Status SnapshotStore::NoteShare(const v1::SnapshotInfo& share) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::optional<v1::SnapshotInfo> noted, LastShare(share.job_id()));
  const std::string bytes = share.SerializeAsString();
  if (noted.has_value() && noted->SerializeAsString() == bytes) return absl::OkStatus();
  const absl::Status written = environment_->Write([&](LmdbTransaction& transaction) {
    return transaction.Put(SnapshotJobKey(kSharePrefix, share.job_id()), bytes);
  });
  return Annotate(written, absl::StrCat("noting this server's share of job \"", share.job_id(), "\""));
}

absl::StatusOr<std::optional<v1::SnapshotInfo>> SnapshotStore::LastShare(const std::string& job_id) const {
  SAMOVAR_ASSIGN_OR_RETURN(LmdbTransaction transaction, environment_->BeginRead());
  SAMOVAR_ASSIGN_OR_RETURN(std::optional<absl::string_view> bytes,
                           transaction.Get(SnapshotJobKey(kSharePrefix, job_id)));
  if (!bytes.has_value()) return std::nullopt;
  v1::SnapshotInfo share;
  if (share.ParseFromArray(bytes->data(), static_cast<int>(bytes->size()))) return share;
  return absl::DataLossError(absl::StrCat("the note of this server's share of job \"", job_id, "\" cannot be parsed"));
}

absl::StatusOr<std::vector<v1::SnapshotInfo>> SnapshotStore::LastShares() const {
  SAMOVAR_ASSIGN_OR_RETURN(LmdbTransaction transaction, environment_->BeginRead());
  SAMOVAR_ASSIGN_OR_RETURN(LmdbCursor cursor, transaction.OpenCursor());
  const std::string prefix(1, kSharePrefix);
  SAMOVAR_ASSIGN_OR_RETURN(bool found, cursor.SeekAtLeast(prefix));
  std::vector<v1::SnapshotInfo> shares;
  while (found && absl::StartsWith(cursor.key(), prefix)) {
    // One that is damaged hides no other.
    v1::SnapshotInfo share;
    if (share.ParseFromArray(cursor.value().data(), static_cast<int>(cursor.value().size()))) {
      shares.push_back(std::move(share));
    }
    SAMOVAR_ASSIGN_OR_RETURN(found, cursor.Next());
  }
  return shares;
}

absl::Status SnapshotStore::NoteEpoch(uint64_t epoch) {
  const absl::Status written = environment_->Write([&](LmdbTransaction& transaction) -> absl::Status {
    SAMOVAR_ASSIGN_OR_RETURN(const uint64_t noted, ReadEpoch(transaction));
    if (noted >= epoch) return absl::OkStatus();
    std::string bytes;
    AppendBigEndian(epoch, &bytes);
    return transaction.Put(kEpochKey, bytes);
  });
  return Annotate(written, absl::StrCat("noting epoch ", epoch));
}

absl::StatusOr<uint64_t> SnapshotStore::Epoch() const {
  SAMOVAR_ASSIGN_OR_RETURN(LmdbTransaction transaction, environment_->BeginRead());
  return ReadEpoch(transaction);
}

absl::StatusOr<std::vector<v1::SnapshotInfo>> SnapshotStore::List(const std::string& job_id) const {
  SAMOVAR_ASSIGN_OR_RETURN(LmdbTransaction transaction, environment_->BeginRead());
  const std::string prefix =
      job_id.empty() ? std::string(1, kSnapshotManifestPrefix) : SnapshotJobKey(kSnapshotManifestPrefix, job_id);
  SAMOVAR_ASSIGN_OR_RETURN(std::vector<v1::SnapshotManifest> manifests, ReadManifests(transaction, prefix));
  std::vector<v1::SnapshotInfo> snapshots;
  for (v1::SnapshotManifest& manifest : manifests) snapshots.push_back(std::move(*manifest.mutable_info()));
  return snapshots;
}

}  // namespace samovar
