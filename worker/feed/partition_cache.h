// PartitionCache keeps copies of partitions of partitioned data sets in a directory of this machine, within a bound.
// Several processes may share the directory, also processes that are killed at any moment.
//
//   DIR/lock                      locked (flock) while entries are looked at, made or removed
//   DIR/ENTRY/data.mdb            a whole partition, its checksum verified; each process that has it open holds a
//                                 shared lock. Its time of change is that of its last use
//   DIR/ENTRY.copying/data.mdb    one that is being copied, locked by the copying process; without a lock it was
//                                 left by a killed process
// where ENTRY is NAME-CRC32-BYTES-SET: of the partition by its manifest, and the CRC-32 of the set's path or URI.
//
// The process keeps the partition open that was asked for last, and those that its readers hold. An entry that is open
// anywhere is not removed: the bound must be large enough for one partition of each process.
//
// Thread safety: all methods may be called from any thread. mu_ is held for no I/O.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/stopper.h"
#include "common/data/partition_source.h"
#include "common/storage/storage_table.h"

namespace samovar {

class PartitionCache final : public PartitionSource {
 public:
  struct Options {
    // Made if it is not there.
    std::string directory;
    // The size of all data files in it together, those under copy included.
    uint64_t bytes = 0;
    // Where sets are.
    StorageTable storage = {};
    // How long a partition is waited for that another process copies, and how long for room that others take up.
    absl::Duration copy_patience = absl::Minutes(10);
    absl::Duration room_patience = absl::Minutes(1);
  };

  // Removes files that killed processes have left. Errors of the system, naming the directory.
  static absl::StatusOr<std::unique_ptr<PartitionCache>> Create(const Options& options);

  // Copies the partition if it is not there, and makes room for it by removing the least recently used ones.
  // FAILED_PRECONDITION: it is larger than the bound. DATA_LOSS, NOT_FOUND: of ReadPartition; nothing is kept of it.
  // DEADLINE_EXCEEDED: waited in vain. RESOURCE_EXHAUSTED: the disk is full. CANCELLED: stopped.
  absl::StatusOr<std::shared_ptr<const LmdbRecords>> Open(const std::string& set,
                                                          const v1::DatasetPartition& partition) override
      ABSL_LOCKS_EXCLUDED(mu_);

  // Bytes of the partitions in the directory, when this last looked for room. From any thread.
  uint64_t held_bytes() const { return held_bytes_.load(std::memory_order_relaxed); }

  // Ends the Open that is under way, and all later ones.
  void Stop() { stopper_.Stop(); }

 private:
  // A file that is open, and locked.
  class LockedFile;
  // An entry of the cache, open.
  struct Held;
  struct Entry;

  explicit PartitionCache(const Options& options) : options_(options) {}

  // Locks the directory; waits for it.
  absl::StatusOr<LockedFile> LockDirectory() const;
  // The entry's file with a shared lock; empty: there is none. REQUIRES: the directory is locked
  absl::StatusOr<LockedFile> FindEntry(const Entry& entry) const;
  // The file to copy to, locked. UNAVAILABLE: another process copies it, or has the entries open that should make room.
  // REQUIRES: as above
  absl::StatusOr<LockedFile> BeginCopy(const Entry& entry) const;
  absl::Status MakeRoom(uint64_t bytes) const;
  // Removes the copy if its file is not locked. REQUIRES: as above
  void RemoveLeftover(const std::string& name) const;
  absl::Status Copy(const std::string& set, const v1::DatasetPartition& partition, const Entry& entry,
                    const LockedFile& file) const;
  // The entry, copied if need be, with a shared lock.
  absl::StatusOr<LockedFile> Fetch(const std::string& set, const v1::DatasetPartition& partition,
                                   const Entry& entry) const;
  std::string PathOf(const std::string& name) const { return options_.directory + "/" + name; }

  const Options options_;
  Stopper stopper_;
  // A figure for people: orders nothing.
  mutable std::atomic<uint64_t> held_bytes_{0};

  absl::Mutex mu_;
  // The partition that was asked for last.
  std::shared_ptr<const Held> last_ ABSL_GUARDED_BY(mu_);
};

}  // namespace samovar
