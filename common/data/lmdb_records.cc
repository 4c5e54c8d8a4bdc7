#include "common/data/lmdb_records.h"

#include <filesystem>
#include <map>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/status_macros.h"

namespace samovar {
namespace {

// The open LMDBs of the process, by canonical path. The lock is held while one is opened or closed, I/O included: a
// thread that opens the same directory meanwhile must wait for it.
struct OpenRecords {
  absl::Mutex mu;
  std::map<std::string, std::weak_ptr<const LmdbRecords>> by_path ABSL_GUARDED_BY(mu);
};

OpenRecords& AllOpen() {
  static OpenRecords* const all = new OpenRecords;  // never destroyed: data sets may be static, too
  return *all;
}

void Close(const std::string& canonical_path, const LmdbRecords* records) {
  OpenRecords& all = AllOpen();
  absl::MutexLock l(&all.mu);
  delete records;
  all.by_path.erase(canonical_path);
}

}  // namespace

absl::StatusOr<std::shared_ptr<const LmdbRecords>> LmdbRecords::Open(const std::string& path) {
  std::error_code error;
  const std::string canonical_path = std::filesystem::canonical(path, error).string();
  if (error == std::errc::no_such_file_or_directory || error == std::errc::not_a_directory) {
    return absl::NotFoundError(absl::StrCat(path, ": no such directory; make one with `samovar data import`"));
  }
  if (error) return absl::InvalidArgumentError(absl::StrCat(path, ": ", error.message()));

  OpenRecords& all = AllOpen();
  absl::MutexLock l(&all.mu);
  const auto known = all.by_path.find(canonical_path);
  if (known != all.by_path.end()) {
    if (std::shared_ptr<const LmdbRecords> open = known->second.lock()) return open;
    // Its last owner is on the way to close it, and needs the lock.
    const auto closed = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(all.mu) {
      const auto entry = all.by_path.find(canonical_path);
      return entry == all.by_path.end() || !entry->second.expired();
    };
    all.mu.Await(absl::Condition(&closed));
    const auto reopened = all.by_path.find(canonical_path);
    if (reopened != all.by_path.end()) {
      if (std::shared_ptr<const LmdbRecords> open = reopened->second.lock()) return open;
    }
  }
  SAMOVAR_ASSIGN_OR_RETURN(std::unique_ptr<const LmdbRecords> opened, OpenNew(path));
  std::shared_ptr<const LmdbRecords> records(
      opened.release(), [canonical_path](const LmdbRecords* closed) { Close(canonical_path, closed); });
  all.by_path[canonical_path] = records;
  return records;
}

absl::StatusOr<std::unique_ptr<const LmdbRecords>> LmdbRecords::OpenNew(const std::string& path) {
  LmdbEnvironment::Options options;
  options.read_only = true;
  SAMOVAR_ASSIGN_OR_RETURN(std::unique_ptr<LmdbEnvironment> environment, LmdbEnvironment::Open(path, options));
  SAMOVAR_ASSIGN_OR_RETURN(LmdbTransaction transaction, environment->BeginRead());
  std::unique_ptr<LmdbRecords> records(new LmdbRecords(path, std::move(environment), std::move(transaction)));
  SAMOVAR_RETURN_IF_ERROR(records->BuildIndex());
  return records;
}

absl::Status LmdbRecords::BuildIndex() {
  SAMOVAR_ASSIGN_OR_RETURN(const uint64_t count, transaction_.Count());
  if (count == 0) {
    return absl::InvalidArgumentError(absl::StrCat(path_, ": has no records; make one with `samovar data import`"));
  }
  index_.reserve(count);
  SAMOVAR_ASSIGN_OR_RETURN(LmdbCursor cursor, transaction_.OpenCursor());
  SAMOVAR_ASSIGN_OR_RETURN(bool found, cursor.SeekAtLeast(""));
  while (found) {
    index_.push_back(cursor.value());
    SAMOVAR_ASSIGN_OR_RETURN(found, cursor.Next());
  }
  return absl::OkStatus();
}

absl::Status LmdbRecords::AppendKeys(std::vector<std::string>* keys) const {
  const size_t before = keys->size();
  // A transaction of its own: a transaction is for one thread at a time.
  SAMOVAR_ASSIGN_OR_RETURN(const LmdbTransaction transaction, environment_->BeginRead());
  SAMOVAR_ASSIGN_OR_RETURN(LmdbCursor cursor, transaction.OpenCursor());
  SAMOVAR_ASSIGN_OR_RETURN(bool found, cursor.SeekAtLeast(""));
  while (found) {
    keys->emplace_back(cursor.key());
    SAMOVAR_ASSIGN_OR_RETURN(found, cursor.Next());
  }
  if (keys->size() - before == index_.size()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(path_, ": was changed while it was in use; restore it, or begin anew"));
}

absl::StatusOr<std::vector<std::string>> LmdbRecords::KeysAt(std::span<const uint64_t> positions) const {
  std::vector<std::string> keys;
  // A transaction of its own: a transaction is for one thread at a time.
  SAMOVAR_ASSIGN_OR_RETURN(const LmdbTransaction transaction, environment_->BeginRead());
  SAMOVAR_ASSIGN_OR_RETURN(LmdbCursor cursor, transaction.OpenCursor());
  SAMOVAR_ASSIGN_OR_RETURN(bool found, cursor.SeekAtLeast(""));
  for (uint64_t at = 0; found && keys.size() < positions.size(); ++at) {
    if (at == positions[keys.size()]) keys.emplace_back(cursor.key());
    SAMOVAR_ASSIGN_OR_RETURN(found, cursor.Next());
  }
  if (keys.size() == positions.size()) return keys;
  return absl::DataLossError(absl::StrCat(path_, ": was changed while it was in use; restore it, or begin anew"));
}

std::string LmdbRecords::NameOf(uint64_t position) const {
  const std::string unnamed = absl::StrCat(path_, ", record ", position);
  // A transaction of its own: a transaction is for one thread at a time.
  const auto transaction = environment_->BeginRead();
  if (!transaction.ok()) return unnamed;
  auto cursor = transaction->OpenCursor();
  if (!cursor.ok()) return unnamed;
  bool found = cursor->SeekAtLeast("").value_or(false);
  for (uint64_t i = 0; found && i < position; ++i) found = cursor->Next().value_or(false);
  if (!found) return unnamed;
  return absl::StrCat(path_, ", key \"", absl::CHexEscape(cursor->key()), "\"");
}

}  // namespace samovar
