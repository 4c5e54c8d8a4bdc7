#include "common/import/set_upload.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <random>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/read_file.h"
#include "common/base/status_macros.h"
#include "common/data/dataset_manifest.h"
#include "common/storage/local_storage.h"
#include "common/storage/write_file.h"

namespace samovar {
namespace {

constexpr absl::string_view kLmdbFile = "data.mdb";
constexpr absl::string_view kLockFile = "lock.mdb";
constexpr absl::string_view kPartitionPrefix = "part-";
constexpr absl::string_view kUnfinishedPrefix = ".data.mdb.";
constexpr size_t kPieceBytes = 4 << 20;

bool IsPartition(const StoredFile& file) { return file.is_directory && absl::StartsWith(file.name, kPartitionPrefix); }

bool IsOfSet(const StoredFile& file) {
  return IsPartition(file) ||
         (!file.is_directory && (file.name == kLmdbFile || file.name == kLockFile || file.name == kManifestName));
}

// None: there is nothing.
absl::StatusOr<std::vector<StoredFile>> EntriesOf(const std::string& uri, const StorageTable& storage) {
  const absl::StatusOr<StoredFile> there = storage.Stat(uri);
  if (absl::IsNotFound(there.status())) return std::vector<StoredFile>();
  SAMOVAR_RETURN_IF_ERROR(there.status());
  if (there->is_directory) return storage.List(uri);
  return absl::AlreadyExistsError(
      absl::StrCat(uri, ": is a file, not an LMDB, so it is not replaced; choose another path"));
}

}  // namespace

absl::Status CheckStoredSetTarget(const std::string& uri, bool force, const StorageTable& storage) {
  SAMOVAR_RETURN_IF_ERROR(storage.CheckWritable(absl::StrCat(uri, "/", kManifestName)));
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<StoredFile> entries, EntriesOf(uri, storage));
  if (!std::all_of(entries.begin(), entries.end(), IsOfSet)) {
    return absl::AlreadyExistsError(
        absl::StrCat(uri, ": exists and is not an LMDB, so it is not replaced; choose another path"));
  }
  // Partitions alone are no data set: an import that was ended has left them.
  if (force || std::all_of(entries.begin(), entries.end(), IsPartition)) return absl::OkStatus();
  return absl::AlreadyExistsError(absl::StrCat(uri, ": exists already; --force replaces it"));
}

absl::StatusOr<std::unique_ptr<SetUpload>> SetUpload::Begin(const std::string& uri, const StorageTable& storage,
                                                            std::function<void(const std::string&)> tell) {
  std::unique_ptr<SetUpload> upload(new SetUpload(uri, storage, std::move(tell)));
  SAMOVAR_ASSIGN_OR_RETURN(upload->former_, EntriesOf(uri, storage));
  if (upload->HadFile(std::string(kManifestName))) {
    upload->suffix_ = absl::StrFormat("-%08x", static_cast<uint32_t>(std::random_device()()));
  }
  return upload;
}

bool SetUpload::HadFile(const std::string& name) const {
  return std::any_of(former_.begin(), former_.end(),
                     [&](const StoredFile& file) { return !file.is_directory && file.name == name; });
}

std::string SetUpload::NameOf(uint32_t partition) const { return PartitionName(partition) + suffix_; }

absl::Status SetUpload::Send(const std::string& path, const std::string& to) {
  LocalStorage here;
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<RangeReader> reader,
                           here.OpenRange(path, 0, std::numeric_limits<uint64_t>::max()));
  if (tell_ && reader->file_bytes() > kToldBytes) {
    tell_(absl::StrCat("sends ", to, ": ", reader->file_bytes() >> 20, " MiB"));
  }
  return storage_.Put(to, [&](int fd) -> absl::Status {
    std::vector<char> piece(kPieceBytes);
    while (true) {
      SAMOVAR_ASSIGN_OR_RETURN(const size_t count, reader->Read(piece));
      if (count == 0) return absl::OkStatus();
      SAMOVAR_RETURN_IF_ERROR(WriteAll(to, {piece.data(), count}, fd));
    }
  });
}

absl::Status SetUpload::AddPartition(const std::string& directory, uint32_t partition) {
  added_.push_back(NameOf(partition));
  return Send(absl::StrCat(directory, "/", kLmdbFile), absl::StrCat(uri_, "/", added_.back(), "/", kLmdbFile));
}

void SetUpload::RemoveFormerPartitions() {
  for (const StoredFile& file : former_) {
    if (!IsPartition(file) || std::find(added_.begin(), added_.end(), file.name) != added_.end()) continue;
    const std::string directory = absl::StrCat(uri_, "/", file.name);
    for (const StoredFile& left : storage_.List(directory).value_or(std::vector<StoredFile>())) {
      // HDFS has the file under another name while it is written, ".data.mdb.0123abcd.tmp".
      const bool is_unfinished = absl::StartsWith(left.name, kUnfinishedPrefix) && absl::EndsWith(left.name, ".tmp");
      if (left.is_directory || !(left.name == kLmdbFile || left.name == kLockFile || is_unfinished)) continue;
      storage_.Remove(absl::StrCat(directory, "/", left.name)).IgnoreError();
    }
    storage_.Remove(directory).IgnoreError();
  }
}

absl::Status SetUpload::FinishSet(const v1::DatasetManifest& manifest) {
  // With it the directory would be an LMDB.
  for (const absl::string_view name : {kLmdbFile, kLockFile}) {
    if (!HadFile(std::string(name))) continue;
    const absl::Status removed = storage_.Remove(absl::StrCat(uri_, "/", name));
    if (!absl::IsNotFound(removed)) SAMOVAR_RETURN_IF_ERROR(removed);
  }
  SAMOVAR_RETURN_IF_ERROR(WriteManifest(uri_, manifest, storage_));
  RemoveFormerPartitions();
  return absl::OkStatus();
}

absl::Status SetUpload::FinishLmdb(const std::string& directory) {
  SAMOVAR_RETURN_IF_ERROR(Send(absl::StrCat(directory, "/", kLmdbFile), absl::StrCat(uri_, "/", kLmdbFile)));
  if (HadFile(std::string(kManifestName))) storage_.Remove(absl::StrCat(uri_, "/", kManifestName)).IgnoreError();
  RemoveFormerPartitions();
  return absl::OkStatus();
}

}  // namespace samovar
