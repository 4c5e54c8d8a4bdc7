#include "server/jobs/lmdb_job_table.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/status_macros.h"
#include "common/model/job_spec_before.h"
#include "common/storage/big_endian.h"
#include "common/storage/lmdb.h"
#include "server/jobs/checked_record.h"

namespace samovar {
namespace {

constexpr uint32_t kFormat = 2;
// The oldest that is read. In it, a JobSpec had the fields of its Consistency one by one.
constexpr uint32_t kOldestFormat = 1;
constexpr char kSpecPrefix = 's';
constexpr char kRecordPrefix = 'r';
constexpr char kForgottenPrefix = 'f';
constexpr char kDisplayPrefix = 'd';
constexpr char kHistoryPrefix = 'h';
// The prefix, a number, a level, an index.
constexpr size_t kHistoryKeyBytes = 1 + 8 + 1 + 8;
constexpr char kEpochKey[] = "e";

std::string KeyOf(char prefix, uint64_t number) {
  std::string key(1, prefix);
  AppendBigEndian(number, &key);
  return key;
}

// A line of a job's display: behind the others of the job, in the order of iterations.
std::string DisplayKey(uint64_t number, uint64_t iteration) {
  std::string key = KeyOf(kDisplayPrefix, number);
  AppendBigEndian(iteration, &key);
  return key;
}

std::string HistoryKeyOf(uint64_t number, HistoryKey block) {
  std::string key = KeyOf(kHistoryPrefix, number);
  key.push_back(static_cast<char>(block.level));
  AppendBigEndian(block.index, &key);
  return key;
}

// The number of a key that KeyOf made.
uint64_t NumberIn(absl::string_view key) { return BigEndianIn(key.substr(1)); }

// The epoch of the coordinator that opened the table last; 0 if none has, in a table of an earlier version.
absl::StatusOr<uint64_t> EpochIn(LmdbTransaction& transaction) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::optional<absl::string_view> stored, transaction.Get(kEpochKey));
  uint64_t epoch = 0;
  if (!stored.has_value() || absl::SimpleAtoi(*stored, &epoch)) return epoch;
  return absl::DataLossError("the epoch that is stored is not a number");
}

// The display's lines of a job, those that are damaged left out.
absl::Status AddDisplays(const LmdbTransaction& transaction, uint64_t number, v1::JobRecord* record) {
  SAMOVAR_ASSIGN_OR_RETURN(LmdbCursor cursor, transaction.OpenCursor());
  const std::string prefix = KeyOf(kDisplayPrefix, number);
  SAMOVAR_ASSIGN_OR_RETURN(bool found, cursor.SeekAtLeast(prefix));
  while (found && absl::StartsWith(cursor.key(), prefix)) {
    v1::DisplayLine line;
    if (FromCheckedRecord(cursor.value(), &line)) *record->add_displays() = std::move(line);
    SAMOVAR_ASSIGN_OR_RETURN(found, cursor.Next());
  }
  return absl::OkStatus();
}

// The records whose keys begin with the prefix, and are below `end`; empty: all of them.
absl::Status RemoveAll(const std::string& prefix, const std::string& end, LmdbTransaction* transaction) {
  std::vector<std::string> keys;
  {
    SAMOVAR_ASSIGN_OR_RETURN(LmdbCursor cursor, transaction->OpenCursor());
    SAMOVAR_ASSIGN_OR_RETURN(bool found, cursor.SeekAtLeast(prefix));
    while (found && absl::StartsWith(cursor.key(), prefix) && (end.empty() || cursor.key() < end)) {
      keys.emplace_back(cursor.key());
      SAMOVAR_ASSIGN_OR_RETURN(found, cursor.Next());
    }
  }
  for (const std::string& key : keys) SAMOVAR_RETURN_IF_ERROR(transaction->Delete(key));
  return absl::OkStatus();
}

// Those of iterations below `end`.
absl::Status RemoveDisplays(uint64_t number, uint64_t end, LmdbTransaction* transaction) {
  return RemoveAll(KeyOf(kDisplayPrefix, number), DisplayKey(number, end), transaction);
}

absl::Status Remove(uint64_t number, LmdbTransaction* transaction) {
  SAMOVAR_RETURN_IF_ERROR(RemoveAll(KeyOf(kDisplayPrefix, number), "", transaction));
  SAMOVAR_RETURN_IF_ERROR(RemoveAll(KeyOf(kHistoryPrefix, number), "", transaction));
  SAMOVAR_RETURN_IF_ERROR(transaction->Delete(KeyOf(kSpecPrefix, number)));
  return transaction->Delete(KeyOf(kRecordPrefix, number));
}

// Those that are damaged are left out.
absl::StatusOr<std::vector<JobTable::Forgotten>> ForgottenIn(const LmdbTransaction& transaction) {
  std::vector<JobTable::Forgotten> jobs;
  SAMOVAR_ASSIGN_OR_RETURN(LmdbCursor cursor, transaction.OpenCursor());
  const std::string prefix(1, kForgottenPrefix);
  SAMOVAR_ASSIGN_OR_RETURN(bool found, cursor.SeekAtLeast(prefix));
  while (found && absl::StartsWith(cursor.key(), prefix)) {
    v1::ForgottenJob job;
    if (FromCheckedRecord(cursor.value(), &job)) {
      jobs.push_back({NumberIn(cursor.key()), job.job_id(), job.exports()});
    }
    SAMOVAR_ASSIGN_OR_RETURN(found, cursor.Next());
  }
  return jobs;
}

absl::Status Forget(const std::vector<JobTable::Forgotten>& jobs, LmdbTransaction* transaction) {
  if (jobs.empty()) return absl::OkStatus();
  for (const JobTable::Forgotten& job : jobs) {
    SAMOVAR_RETURN_IF_ERROR(Remove(job.number, transaction));
    v1::ForgottenJob record;
    record.set_job_id(job.job_id);
    record.set_exports(job.exports);
    SAMOVAR_RETURN_IF_ERROR(transaction->Put(KeyOf(kForgottenPrefix, job.number), ToCheckedRecord(record)));
  }
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<JobTable::Forgotten> all, ForgottenIn(*transaction));
  for (size_t i = 0; i + JobTable::kMaxForgotten < all.size(); ++i) {
    SAMOVAR_RETURN_IF_ERROR(transaction->Delete(KeyOf(kForgottenPrefix, all[i].number)));
  }
  return absl::OkStatus();
}

absl::Status PutRecord(uint64_t number, v1::JobRecord record, LmdbTransaction* transaction) {
  for (const v1::DisplayLine& line : record.displays()) {
    SAMOVAR_RETURN_IF_ERROR(transaction->Put(DisplayKey(number, line.iteration()), ToCheckedRecord(line)));
  }
  SAMOVAR_RETURN_IF_ERROR(RemoveDisplays(number, record.displays_from(), transaction));
  record.clear_displays();
  record.set_format(kFormat);
  return transaction->Put(KeyOf(kRecordPrefix, number), ToCheckedRecord(record));
}

}  // namespace

absl::StatusOr<std::unique_ptr<LmdbJobTable>> LmdbJobTable::Open(const std::string& directory, uint64_t epoch) {
  auto environment = LmdbEnvironment::Open(directory, {});
  if (!environment.ok()) return Annotate(environment.status(), "job table");
  std::unique_ptr<LmdbJobTable> table(new LmdbJobTable(*std::move(environment), epoch));
  const absl::Status taken = table->environment_->Write([epoch](LmdbTransaction& transaction) -> absl::Status {
    SAMOVAR_ASSIGN_OR_RETURN(const uint64_t last, EpochIn(transaction));
    if (last > epoch) return TakenBy(last, epoch);
    return transaction.Put(kEpochKey, absl::StrCat(epoch));
  });
  SAMOVAR_RETURN_IF_ERROR(Annotate(taken, "job table"));
  return table;
}

LmdbJobTable::LmdbJobTable(std::unique_ptr<LmdbEnvironment> environment, uint64_t epoch)
    : environment_(std::move(environment)), epoch_(epoch) {}

absl::Status LmdbJobTable::Write(absl::FunctionRef<absl::Status(LmdbTransaction&)> body) {
  return environment_->Write([&](LmdbTransaction& transaction) -> absl::Status {
    SAMOVAR_ASSIGN_OR_RETURN(const uint64_t last, EpochIn(transaction));
    return last == epoch_ ? body(transaction) : TakenBy(last, epoch_);
  });
}

LmdbJobTable::~LmdbJobTable() = default;

absl::Status LmdbJobTable::CheckOwner() const {
  SAMOVAR_ASSIGN_OR_RETURN(LmdbTransaction transaction, environment_->BeginRead());
  SAMOVAR_ASSIGN_OR_RETURN(const uint64_t last, EpochIn(transaction));
  return last == epoch_ ? absl::OkStatus() : TakenBy(last, epoch_);
}

absl::StatusOr<std::vector<JobTable::Entry>> LmdbJobTable::Load(std::vector<std::string>* damaged) const {
  std::vector<Entry> entries;
  SAMOVAR_ASSIGN_OR_RETURN(LmdbTransaction transaction, environment_->BeginRead());
  SAMOVAR_ASSIGN_OR_RETURN(LmdbCursor cursor, transaction.OpenCursor());
  const std::string prefix(1, kRecordPrefix);
  SAMOVAR_ASSIGN_OR_RETURN(bool found, cursor.SeekAtLeast(prefix));
  while (found && absl::StartsWith(cursor.key(), prefix)) {
    Entry entry;
    entry.number = NumberIn(cursor.key());
    SAMOVAR_ASSIGN_OR_RETURN(const std::optional<absl::string_view> spec,
                             transaction.Get(KeyOf(kSpecPrefix, entry.number)));
    if (!spec.has_value() || !FromCheckedRecord(*spec, &entry.spec) ||
        !FromCheckedRecord(cursor.value(), &entry.record)) {
      damaged->push_back(
          absl::StrCat(environment_->path(), ": the record of job number ", entry.number, " is damaged"));
    } else if (entry.record.format() < kOldestFormat || entry.record.format() > kFormat) {
      damaged->push_back(absl::StrCat(environment_->path(), ": job \"", entry.spec.job_id(),
                                      "\" was written by another version (format ", entry.record.format(), ")"));
    } else {
      // Only the record is written anew, so that its format does not tell how old the spec is.
      AdoptConsistencyBefore(&entry.spec);
      SAMOVAR_RETURN_IF_ERROR(AddDisplays(transaction, entry.number, &entry.record));
      entries.push_back(std::move(entry));
    }
    SAMOVAR_ASSIGN_OR_RETURN(found, cursor.Next());
  }
  return entries;
}

absl::StatusOr<std::vector<JobTable::Forgotten>> LmdbJobTable::LoadForgotten() const {
  SAMOVAR_ASSIGN_OR_RETURN(LmdbTransaction transaction, environment_->BeginRead());
  return ForgottenIn(transaction);
}

absl::Status LmdbJobTable::Insert(const Entry& entry, std::optional<uint64_t> replaced) {
  return Write([&](LmdbTransaction& transaction) -> absl::Status {
    if (replaced.has_value()) SAMOVAR_RETURN_IF_ERROR(Remove(*replaced, &transaction));
    // A job whose record is damaged was left out, and may have had this number.
    SAMOVAR_RETURN_IF_ERROR(Remove(entry.number, &transaction));
    SAMOVAR_ASSIGN_OR_RETURN(const std::vector<Forgotten> forgotten, ForgottenIn(transaction));
    for (const Forgotten& job : forgotten) {
      if (job.job_id != entry.spec.job_id()) continue;
      SAMOVAR_RETURN_IF_ERROR(transaction.Delete(KeyOf(kForgottenPrefix, job.number)));
    }
    SAMOVAR_RETURN_IF_ERROR(transaction.Put(KeyOf(kSpecPrefix, entry.number), ToCheckedRecord(entry.spec)));
    return PutRecord(entry.number, entry.record, &transaction);
  });
}

absl::Status LmdbJobTable::Update(const std::vector<Change>& changes, const std::vector<Forgotten>& forgotten) {
  return Write([&](LmdbTransaction& transaction) -> absl::Status {
    for (const Change& change : changes) SAMOVAR_RETURN_IF_ERROR(PutRecord(change.number, change.record, &transaction));
    return Forget(forgotten, &transaction);
  });
}

absl::StatusOr<HistoryBlocks> LmdbJobTable::LoadHistory(uint64_t number) const {
  HistoryBlocks blocks;
  SAMOVAR_ASSIGN_OR_RETURN(LmdbTransaction transaction, environment_->BeginRead());
  SAMOVAR_ASSIGN_OR_RETURN(LmdbCursor cursor, transaction.OpenCursor());
  const std::string prefix = KeyOf(kHistoryPrefix, number);
  SAMOVAR_ASSIGN_OR_RETURN(bool found, cursor.SeekAtLeast(prefix));
  while (found && absl::StartsWith(cursor.key(), prefix)) {
    const absl::string_view key = cursor.key();
    v1::HistoryBlock block;
    if (key.size() == kHistoryKeyBytes && FromCheckedRecord(cursor.value(), &block)) {
      const auto level = static_cast<unsigned char>(key[prefix.size()]);
      blocks[{level, BigEndianIn(key.substr(prefix.size() + 1))}] = std::move(block);
    }
    SAMOVAR_ASSIGN_OR_RETURN(found, cursor.Next());
  }
  return blocks;
}

absl::Status LmdbJobTable::UpdateHistory(const std::vector<HistoryChange>& changes) {
  return Write([&](LmdbTransaction& transaction) -> absl::Status {
    for (const HistoryChange& change : changes) {
      for (const HistoryKey& key : change.removed) {
        SAMOVAR_RETURN_IF_ERROR(transaction.Delete(HistoryKeyOf(change.number, key)));
      }
      for (const auto& [key, block] : change.written) {
        SAMOVAR_RETURN_IF_ERROR(transaction.Put(HistoryKeyOf(change.number, key), ToCheckedRecord(block)));
      }
    }
    return absl::OkStatus();
  });
}

}  // namespace samovar
