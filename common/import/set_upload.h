// SetUpload puts a data set that is made on this machine into a storage, file by file as they are made. The manifest,
// which makes a data set of them, or an LMDB's one file, comes last. So whoever looks there finds a whole set, the one
// that was there before, or none; also after the process was killed.
//
// Thread safety: one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/storage/storage_table.h"
#include "samovar/v1/dataset.pb.h"

namespace samovar {

// CheckSetTarget (staged_directory.h) for a set in a storage. Errors of the storage; what cannot be written there is
// refused.
absl::Status CheckStoredSetTarget(const std::string& uri, bool force, const StorageTable& storage);

// The same for partitions that are in place and are to become a set: entries that are of no set stay where they are,
// and `tell`, which may be empty, hears of them, as long as there is a partition or a manifest beside them.
absl::Status CheckJoinedSetTarget(const std::string& uri, bool force, const StorageTable& storage,
                                  const std::function<void(const std::string& news)>& tell);

// Whether a partition that is written alone can go there, here or in a storage: there is nothing, or another
// partition that was written alone, which may turn out to be the same one.
absl::Status CheckPartitionTarget(const std::string& uri, const StorageTable& storage);

// A partition is there already. OK: its report is this one, so that it is the same. ALREADY_EXISTS: it is another one.
absl::Status CheckIsRepeat(const std::string& uri, const std::string& report, const StorageTable& storage);

// Whether that partition has a data file of so many bytes: it may have been lost, or not have come yet.
bool HasPartitionFile(const std::string& uri, uint64_t bytes, const StorageTable& storage);

// ALREADY_EXISTS: a directory is not replaced, since it holds this besides a data set.
absl::Status HoldsOther(const std::string& uri, const std::string& name);

class SetUpload {
 public:
  // Files that are larger are told of before they are sent.
  static constexpr uint64_t kToldBytes = uint64_t{64} << 20;

  // `tell` may be empty. Errors of listing the URI, which need not be there.
  static absl::StatusOr<std::unique_ptr<SetUpload>> Begin(const std::string& uri, const StorageTable& storage,
                                                          std::function<void(const std::string& news)> tell);

  // The directory of a partition in the set: another one than those of a set that is there, which stays whole.
  std::string NameOf(uint32_t partition) const;

  // Takes a partition for one of the set that somebody else has put there, under this name.
  void Keep(const std::string& name) { added_.push_back(name); }

  // Sends `directory`/data.mdb as that of the partition.
  absl::Status AddPartition(const std::string& directory, uint32_t partition);
  // Makes it a partitioned set, and removes what was there before. REQUIRES: its partitions were added, or are kept
  absl::Status FinishSet(const v1::DatasetManifest& manifest);
  // The same of an LMDB, `directory`/data.mdb.
  absl::Status FinishLmdb(const std::string& directory);
  // Makes the URI a partition, `directory`/data.mdb of so many bytes, with its report. The report comes first, and only
  // one of several can be the first, so that the file is that of one report whatever ends when: another writer with the
  // same report sends the same bytes. ALREADY_EXISTS: there is another one.
  absl::Status FinishPartition(const std::string& directory, uint64_t bytes, const std::string& report);

 private:
  SetUpload(std::string uri, const StorageTable& storage, std::function<void(const std::string&)> tell)
      : uri_(std::move(uri)), storage_(storage), tell_(std::move(tell)) {}

  absl::Status Send(const std::string& path, const std::string& to);
  bool HadFile(const std::string& name) const;
  // Removes partitions that the new set has not: leavings take room, and do no other harm.
  void RemoveFormerPartitions();

  const std::string uri_;
  const StorageTable storage_;
  const std::function<void(const std::string&)> tell_;
  // Files and directories that were there at the beginning.
  std::vector<StoredFile> former_;
  // Behind the names of partitions, if a set is replaced.
  std::string suffix_;
  std::vector<std::string> added_;
};

}  // namespace samovar
