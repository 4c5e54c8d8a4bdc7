// LMDB, wrapped: the only door to <lmdb.h>. An environment is a directory with data.mdb (and lock.mdb); of its
// databases the unnamed one is used. Keys have 1 to 511 bytes, values fewer than 4 GiB; both are any bytes.
//
// A file is checked before LMDB maps it, since LMDB trusts mapped files: a damaged or truncated file is an error here,
// not a crash (see lmdb_check.h).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "common/base/steady_condition.h"

struct MDB_env;
struct MDB_txn;
struct MDB_cursor;

namespace samovar {

class LmdbEnvironment;

// A place in the order of keys (bytewise). Must not outlive its transaction.
// Thread safety: one thread at a time.
class LmdbCursor {
 public:
  LmdbCursor(LmdbCursor&& other) noexcept;
  LmdbCursor& operator=(LmdbCursor&&) = delete;
  ~LmdbCursor();

  // Goes to the first record whose key is not less than `key`; an empty key means the first record of all.
  // False: there is none.
  absl::StatusOr<bool> SeekAtLeast(absl::string_view key);
  // False: there are no more.
  absl::StatusOr<bool> Next();

  // REQUIRES: the last call answered true. Valid until the transaction ends or writes.
  absl::string_view key() const { return key_; }
  absl::string_view value() const { return value_; }

 private:
  friend class LmdbTransaction;
  LmdbCursor(MDB_cursor* cursor, const std::string* path) : cursor_(cursor), path_(path) {}

  MDB_cursor* cursor_;
  const std::string* path_;
  absl::string_view key_;
  absl::string_view value_;
};

// One consistent view of an environment; ends with the object, which must not outlive the environment.
// Thread safety: one thread at a time; a reading one may move between threads. The views that it gave out may be read
// from any thread.
class LmdbTransaction {
 public:
  LmdbTransaction(LmdbTransaction&& other) noexcept;
  LmdbTransaction& operator=(LmdbTransaction&&) = delete;
  ~LmdbTransaction();

  // nullopt: no such key. The view points into the map and is valid until the transaction ends or writes.
  absl::StatusOr<std::optional<absl::string_view>> Get(absl::string_view key) const;
  // Records in the database.
  absl::StatusOr<uint64_t> Count() const;
  absl::StatusOr<LmdbCursor> OpenCursor() const;

  // Both REQUIRE a transaction of LmdbEnvironment::Write. Put replaces. An absent key is OK to delete.
  absl::Status Put(absl::string_view key, absl::string_view value);
  absl::Status Delete(absl::string_view key);

 private:
  friend class LmdbEnvironment;
  // `reader_of`: the environment that counts this reader; null in Write, which owns the transaction itself.
  LmdbTransaction(MDB_txn* transaction, LmdbEnvironment* reader_of, const std::string* path)
      : transaction_(transaction), reader_of_(reader_of), path_(path) {}

  MDB_txn* transaction_;
  LmdbEnvironment* reader_of_;
  const std::string* path_;
  bool map_full_ = false;  // a write found no room in the map; Write looks here, also if the caller replaced the error
};

// An open environment. LMDB's rule: a process has an environment open once only, since closing the second would drop
// the first one's locks. A process-wide registry of directories enforces it.
//
// Thread safety: all methods may be called from any thread; writers take turns.
class LmdbEnvironment {
 public:
  struct Options {
    bool read_only = false;
    // Make the directory (and its parents) if it is not there. Not in read-only mode.
    bool create = true;
    // First size of the map, for writing; it doubles when full. Costs address space, not memory or disk.
    uint64_t map_bytes = uint64_t{256} << 20;
  };

  // NOT_FOUND: no such directory, or it has no data.mdb (read-only). INVALID_ARGUMENT: not an LMDB.
  // DATA_LOSS: an LMDB that is damaged or truncated. FAILED_PRECONDITION: open in this process already.
  // Read-only works without write access to the directory, and when a reader elsewhere has this process's number; then
  // without LMDB's lock: nobody may write meanwhile.
  static absl::StatusOr<std::unique_ptr<LmdbEnvironment>> Open(const std::string& directory, const Options& options);
  // REQUIRES: no transaction is open.
  ~LmdbEnvironment();
  LmdbEnvironment(const LmdbEnvironment&) = delete;
  LmdbEnvironment& operator=(const LmdbEnvironment&) = delete;

  // Never waits for a writer.
  absl::StatusOr<LmdbTransaction> BeginRead() ABSL_LOCKS_EXCLUDED(mu_);

  // Runs `body` in a transaction; commits (durably) if it returns OK, else undoes all and returns its error. When the
  // map is full it is made larger and `body` runs again from the start, so it must be repeatable. Waits for other
  // writers and, only to enlarge the map, up to a minute for readers. The calling thread must not hold a transaction.
  // RESOURCE_EXHAUSTED: the disk is full; the environment is as before.
  absl::Status Write(absl::FunctionRef<absl::Status(LmdbTransaction&)> body) ABSL_LOCKS_EXCLUDED(mu_);

  const std::string& path() const { return path_; }

 private:
  friend class LmdbTransaction;
  class Registration;

  LmdbEnvironment(std::string path, std::unique_ptr<Registration> registration, MDB_env* environment, bool read_only);

  void EndRead() ABSL_LOCKS_EXCLUDED(mu_);
  // One run of `body`. Sets `map_full` if it was undone for want of room.
  absl::Status WriteOnce(absl::FunctionRef<absl::Status(LmdbTransaction&)> body, bool* map_full);
  absl::Status GrowMap() ABSL_LOCKS_EXCLUDED(mu_);

  const std::string path_;
  const std::unique_ptr<Registration> registration_;
  MDB_env* const environment_;
  const bool read_only_;

  absl::Mutex mu_;  // a leaf lock; held over mdb_txn_begin of a reader and over enlarging the map, not over disk I/O
  int readers_ ABSL_GUARDED_BY(mu_) = 0;
  // The last reader has ended.
  SteadyCondition read_;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace samovar
