#include "common/storage/lmdb.h"

#include <fcntl.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/exceptions.h"
#include "common/base/status_macros.h"
#include "common/storage/lmdb_check.h"
#include "common/storage/lmdb_errors.h"

namespace samovar {
namespace {

// The unnamed database has the same handle in every environment.
constexpr MDB_dbi kMainDatabase = 1;
constexpr unsigned kMaxReaders = 512;
constexpr mdb_mode_t kFileMode = 0644;
constexpr absl::Duration kLongestWaitForReaders = absl::Minutes(1);

MDB_val ToVal(absl::string_view bytes) { return {bytes.size(), const_cast<char*>(bytes.data())}; }
absl::string_view ToView(const MDB_val& value) { return {static_cast<const char*>(value.mv_data), value.mv_size}; }

absl::Status CheckDirectory(const std::string& path, const LmdbEnvironment::Options& options) {
  std::error_code error;
  if (options.create && !options.read_only) {
    std::filesystem::create_directories(path, error);  // an error shows below, or is in the way of opening
  }
  struct stat status;
  if (stat(path.c_str(), &status) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) {
      const std::string why = error ? absl::StrCat(", and it cannot be made: ", error.message()) : "";
      return absl::NotFoundError(absl::StrCat(path, ": no such directory", why));
    }
    return LmdbStatus(errno, path, "opening");
  }
  if (!S_ISDIR(status.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": is a file; an LMDB is named by the directory that holds its data.mdb"));
  }
  return absl::OkStatus();
}

absl::Status CheckData(const std::string& path, bool read_only) {
  const std::string file = absl::StrCat(path, "/data.mdb");
  struct stat status;
  if (stat(file.c_str(), &status) != 0 && errno == ENOENT) {
    if (!read_only) return absl::OkStatus();
    return absl::NotFoundError(absl::StrCat(path, ": not an LMDB: the directory has no data.mdb"));
  }
  // LMDB takes an empty file for a new environment; so do we where one may be made.
  if (!read_only && status.st_size == 0) return absl::OkStatus();
  return CheckLmdbFile(file, /*for_writing=*/!read_only);
}

// Gives the unnamed database its handle, and frees the slots of readers that were killed. Returns LMDB's code.
int Prepare(MDB_env* environment) {
  int dead = 0;
  mdb_reader_check(environment, &dead);
  MDB_txn* transaction = nullptr;
  int code = mdb_txn_begin(environment, nullptr, MDB_RDONLY, &transaction);
  if (code != MDB_SUCCESS) return code;
  MDB_dbi database = 0;
  code = mdb_dbi_open(transaction, nullptr, 0, &database);
  mdb_txn_abort(transaction);
  return code == MDB_SUCCESS && database != kMainDatabase ? MDB_BAD_DBI : code;
}

absl::StatusOr<MDB_env*> OpenWith(const std::string& path, unsigned flags, uint64_t map_bytes, int* code) {
  MDB_env* environment = nullptr;
  *code = mdb_env_create(&environment);
  if (*code != MDB_SUCCESS) return LmdbStatus(*code, path, "opening");
  *code = mdb_env_set_maxreaders(environment, kMaxReaders);
  if (*code == MDB_SUCCESS) *code = mdb_env_set_mapsize(environment, map_bytes);
  if (*code == MDB_SUCCESS) *code = mdb_env_open(environment, path.c_str(), flags, kFileMode);
  if (*code == MDB_SUCCESS) *code = Prepare(environment);
  if (*code == MDB_SUCCESS) return environment;
  mdb_env_close(environment);
  return LmdbStatus(*code, path, "opening");
}

absl::StatusOr<MDB_env*> OpenRaw(const std::string& path, const LmdbEnvironment::Options& options) {
  int code = 0;
  if (!options.read_only) return OpenWith(path, MDB_NOTLS, options.map_bytes, &code);
  // LMDB enlarges this to the size that the file needs; the size that the file names can be a terabyte.
  constexpr uint64_t kSmallestMap = 1 << 20;
  auto environment = OpenWith(path, MDB_RDONLY | MDB_NOTLS, kSmallestMap, &code);
  // The lock file cannot be written; or cannot be locked: LMDB tells readers apart by their process numbers, and one on
  // another host of a network drive, or in another container, has ours.
  const bool unwritable = code == EACCES || code == EPERM || code == EROFS;
  if (unwritable || code == EAGAIN || code == ENOLCK) {
    environment = OpenWith(path, MDB_RDONLY | MDB_NOTLS | MDB_NOLOCK, kSmallestMap, &code);
  }
  return environment;
}

}  // namespace

// An entry in the process-wide set of open environments. Directories are told apart by device and inode, not by path;
// the open descriptor keeps the inode from being given to another directory.
class LmdbEnvironment::Registration {
 public:
  static absl::StatusOr<std::unique_ptr<Registration>> Create(const std::string& path) {
    const int directory = open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) return LmdbStatus(errno, path, "opening");
    struct stat status;
    if (fstat(directory, &status) != 0) {
      const int code = errno;
      close(directory);
      return LmdbStatus(code, path, "opening");
    }
    const Directory id{status.st_dev, status.st_ino};
    Open& all = AllOpen();
    absl::MutexLock l(&all.mu);
    if (!all.directories.insert(id).second) {
      close(directory);
      return absl::FailedPreconditionError(
          absl::StrCat(path, ": is open in this process already; an LMDB can be opened once only"));
    }
    return std::unique_ptr<Registration>(new Registration(directory, id));
  }

  ~Registration() {
    Open& all = AllOpen();
    absl::MutexLock l(&all.mu);
    all.directories.erase(id_);
    close(directory_);
  }

 private:
  using Directory = std::pair<dev_t, ino_t>;
  struct Open {
    absl::Mutex mu;
    std::set<Directory> directories ABSL_GUARDED_BY(mu);
  };

  static Open& AllOpen() {
    static Open* const all = new Open;  // never destroyed: environments may be static, too
    return *all;
  }

  Registration(int directory, const Directory& id) : directory_(directory), id_(id) {}

  const int directory_;
  const Directory id_;
};

LmdbCursor::LmdbCursor(LmdbCursor&& other) noexcept
    : cursor_(std::exchange(other.cursor_, nullptr)), path_(other.path_), key_(other.key_), value_(other.value_) {}

LmdbCursor::~LmdbCursor() {
  if (cursor_ != nullptr) mdb_cursor_close(cursor_);
}

absl::StatusOr<bool> LmdbCursor::SeekAtLeast(absl::string_view key) {
  MDB_val found_key = ToVal(key);
  MDB_val value;
  const int code = mdb_cursor_get(cursor_, &found_key, &value, key.empty() ? MDB_FIRST : MDB_SET_RANGE);
  if (code == MDB_NOTFOUND) return false;
  if (code != MDB_SUCCESS) return LmdbStatus(code, *path_, "reading");
  key_ = ToView(found_key);
  value_ = ToView(value);
  return true;
}

absl::StatusOr<bool> LmdbCursor::Next() {
  MDB_val key;
  MDB_val value;
  const int code = mdb_cursor_get(cursor_, &key, &value, MDB_NEXT);
  if (code == MDB_NOTFOUND) return false;
  if (code != MDB_SUCCESS) return LmdbStatus(code, *path_, "reading");
  key_ = ToView(key);
  value_ = ToView(value);
  return true;
}

LmdbTransaction::LmdbTransaction(LmdbTransaction&& other) noexcept
    : transaction_(std::exchange(other.transaction_, nullptr)),
      reader_of_(std::exchange(other.reader_of_, nullptr)),
      path_(other.path_),
      map_full_(other.map_full_) {}

LmdbTransaction::~LmdbTransaction() {
  if (reader_of_ == nullptr) return;
  mdb_txn_abort(transaction_);
  reader_of_->EndRead();
}

absl::StatusOr<std::optional<absl::string_view>> LmdbTransaction::Get(absl::string_view key) const {
  MDB_val wanted = ToVal(key);
  MDB_val value;
  const int code = mdb_get(transaction_, kMainDatabase, &wanted, &value);
  if (code == MDB_NOTFOUND) return std::optional<absl::string_view>();
  if (code != MDB_SUCCESS) return LmdbStatus(code, *path_, "reading");
  return std::optional<absl::string_view>(ToView(value));
}

absl::StatusOr<uint64_t> LmdbTransaction::Count() const {
  MDB_stat stat;
  const int code = mdb_stat(transaction_, kMainDatabase, &stat);
  if (code != MDB_SUCCESS) return LmdbStatus(code, *path_, "reading");
  return stat.ms_entries;
}

absl::StatusOr<LmdbCursor> LmdbTransaction::OpenCursor() const {
  MDB_cursor* cursor = nullptr;
  const int code = mdb_cursor_open(transaction_, kMainDatabase, &cursor);
  if (code != MDB_SUCCESS) return LmdbStatus(code, *path_, "reading");
  return LmdbCursor(cursor, path_);
}

absl::Status LmdbTransaction::Put(absl::string_view key, absl::string_view value) {
  MDB_val put_key = ToVal(key);
  MDB_val put_value = ToVal(value);
  const int code = mdb_put(transaction_, kMainDatabase, &put_key, &put_value, 0);
  if (code == MDB_MAP_FULL) map_full_ = true;
  return LmdbStatus(code, *path_, "writing");
}

absl::Status LmdbTransaction::Delete(absl::string_view key) {
  MDB_val deleted = ToVal(key);
  const int code = mdb_del(transaction_, kMainDatabase, &deleted, nullptr);
  if (code == MDB_NOTFOUND) return absl::OkStatus();
  if (code == MDB_MAP_FULL) map_full_ = true;  // pages are copied before they change
  return LmdbStatus(code, *path_, "writing");
}

absl::StatusOr<std::unique_ptr<LmdbEnvironment>> LmdbEnvironment::Open(const std::string& directory,
                                                                       const Options& options) {
  SAMOVAR_RETURN_IF_ERROR(CheckDirectory(directory, options));
  SAMOVAR_ASSIGN_OR_RETURN(std::unique_ptr<Registration> registration, Registration::Create(directory));
  SAMOVAR_RETURN_IF_ERROR(CheckData(directory, options.read_only));
  SAMOVAR_ASSIGN_OR_RETURN(MDB_env * raw, OpenRaw(directory, options));
  return std::unique_ptr<LmdbEnvironment>(
      new LmdbEnvironment(directory, std::move(registration), raw, options.read_only));
}

LmdbEnvironment::LmdbEnvironment(std::string path, std::unique_ptr<Registration> registration, MDB_env* environment,
                                 bool read_only)
    : path_(std::move(path)),
      registration_(std::move(registration)),
      environment_(environment),
      read_only_(read_only) {}

LmdbEnvironment::~LmdbEnvironment() { mdb_env_close(environment_); }

absl::StatusOr<LmdbTransaction> LmdbEnvironment::BeginRead() {
  absl::MutexLock l(&mu_);
  MDB_txn* transaction = nullptr;
  const int code = mdb_txn_begin(environment_, nullptr, MDB_RDONLY, &transaction);
  if (code != MDB_SUCCESS) return LmdbStatus(code, path_, "reading");
  ++readers_;
  return LmdbTransaction(transaction, this, &path_);
}

void LmdbEnvironment::EndRead() {
  absl::MutexLock l(&mu_);
  --readers_;
  if (readers_ == 0) read_.NotifyAll();
}

absl::Status LmdbEnvironment::Write(absl::FunctionRef<absl::Status(LmdbTransaction&)> body) {
  if (read_only_) return absl::FailedPreconditionError(absl::StrCat(path_, ": is open for reading only"));
  {
    absl::MutexLock l(&mu_);
    mu_.Await(absl::Condition(
        +[](bool* writing) { return !*writing; }, &writing_));
    writing_ = true;
  }
  const absl::Cleanup end = [this] {
    absl::MutexLock l(&mu_);
    writing_ = false;
  };
  absl::Status status;
  for (bool map_full = true; map_full;) {
    status = WriteOnce(body, &map_full);
    if (!map_full) break;
    status = GrowMap();
    if (!status.ok()) break;
  }
  return status;
}

absl::Status LmdbEnvironment::WriteOnce(absl::FunctionRef<absl::Status(LmdbTransaction&)> body, bool* map_full) {
  *map_full = false;
  MDB_txn* raw = nullptr;
  int code = mdb_txn_begin(environment_, nullptr, 0, &raw);
  if (code != MDB_SUCCESS) return LmdbStatus(code, path_, "writing");
  LmdbTransaction transaction(raw, nullptr, &path_);
  // A transaction that stayed open would shut out all that come later.
  const absl::Status status = CatchExceptions([&] { return body(transaction); });
  if (transaction.map_full_ || !status.ok()) {
    mdb_txn_abort(raw);
    *map_full = transaction.map_full_;
    return status;
  }
  code = mdb_txn_commit(raw);
  *map_full = code == MDB_MAP_FULL;  // the list of free pages needs pages, too
  return LmdbStatus(code, path_, "writing");
}

absl::Status LmdbEnvironment::GrowMap() {
  // LMDB moves the map, so that no transaction of this process may be open. New readers are not held up meanwhile: a
  // thread that has one transaction open may always open another.
  absl::MutexLock l(&mu_);
  const auto no_readers = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return readers_ == 0; };
  if (!read_.WaitFor(&mu_, kLongestWaitForReaders, no_readers)) {
    return absl::UnavailableError(
        absl::StrCat(path_, ": cannot be enlarged while it is read; try again when the readers are done"));
  }
  MDB_envinfo info;
  int code = mdb_env_info(environment_, &info);
  if (code == MDB_SUCCESS) code = mdb_env_set_mapsize(environment_, 2 * info.me_mapsize);
  return LmdbStatus(code, path_, "enlarging the map");
}

}  // namespace samovar
