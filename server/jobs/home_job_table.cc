#include "server/jobs/home_job_table.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"
#include "common/model/job_spec_before.h"
#include "server/jobs/checked_record.h"

namespace samovar {
namespace {

constexpr uint32_t kFormat = 2;
constexpr uint64_t kMaxFileBytes = uint64_t{1} << 30;
constexpr char kAll[] = "all";

// The change's record in place of the former one, with the lines of the display that that one has.
v1::JobRecord Merged(const v1::JobRecord& former, const v1::JobRecord& change) {
  v1::JobRecord merged = change;
  merged.clear_displays();
  merged.set_format(kFormat);
  const uint64_t end = change.displays().empty() ? UINT64_MAX : change.displays(0).iteration();
  const auto keep = [&](const v1::DisplayLine& line) {
    if (line.iteration() >= change.displays_from()) *merged.add_displays() = line;
  };
  for (const v1::DisplayLine& line : former.displays()) {
    if (line.iteration() < end) keep(line);
  }
  for (const v1::DisplayLine& line : change.displays()) keep(line);
  return merged;
}

// Drops the jobs whose names newer ones have taken, and what no job needs any more.
void Settle(std::map<uint64_t, v1::HomeJob>* jobs) {
  std::set<uint64_t> replaced;
  for (const auto& [number, job] : *jobs) replaced.insert(job.replaces().begin(), job.replaces().end());
  std::erase_if(*jobs, [&](const auto& entry) { return replaced.contains(entry.first); });
  size_t forgotten = 0;
  for (const auto& [number, job] : *jobs) forgotten += job.forgotten() ? 1 : 0;
  size_t surplus = forgotten - std::min(forgotten, JobTable::kMaxForgotten);
  std::erase_if(*jobs, [&](const auto& entry) { return entry.second.forgotten() && surplus > 0 && surplus-- > 0; });
}

struct BlockFile {
  HistoryKey key;
  uint64_t epoch = 0;
};

std::string BlockFileName(const BlockFile& file) {
  return absl::StrFormat("%02d-%020d-%020d", file.key.level, file.key.index, file.epoch);
}

std::optional<BlockFile> ParseBlockFileName(const std::string& name) {
  const std::vector<std::string> numbers = absl::StrSplit(name, '-');
  BlockFile file;
  if (numbers.size() != 3 || !absl::SimpleAtoi(numbers[0], &file.key.level) ||
      !absl::SimpleAtoi(numbers[1], &file.key.index) || !absl::SimpleAtoi(numbers[2], &file.epoch) ||
      BlockFileName(file) != name) {
    return std::nullopt;
  }
  return file;
}

}  // namespace

std::string HomeJobTable::DirectoryOf(uint64_t epoch) const {
  return absl::StrCat(home_.uri(), "/jobs/", absl::StrFormat("%020d", epoch));
}

std::string HomeJobTable::FileOf(uint64_t number) const {
  return absl::StrCat(DirectoryOf(epoch_), "/", absl::StrFormat("%020d", number));
}

absl::StatusOr<std::unique_ptr<HomeJobTable>> HomeJobTable::Open(const ClusterHome& home, const StorageTable& storage,
                                                                 uint64_t epoch, const JobTable* before, bool forget) {
  std::unique_ptr<HomeJobTable> table(new HomeJobTable(home, storage, epoch));
  absl::MutexLock lock(&table->mu_);
  SAMOVAR_ASSIGN_OR_RETURN(const uint64_t last, table->EpochBefore());
  if (forget) {
    // The table stays empty.
  } else if (last != 0) {
    SAMOVAR_RETURN_IF_ERROR(table->ReadJobs(last));
  } else if (before != nullptr) {
    SAMOVAR_RETURN_IF_ERROR(table->TakeJobs(*before));
  }
  SAMOVAR_RETURN_IF_ERROR(table->WriteAll());
  // Before the home is looked at: they are no later coordinator's.
  const auto curves = storage.List(table->CurvesDirectory());
  SAMOVAR_RETURN_IF_ERROR(table->CheckOwner());
  table->RemoveBefore(last);
  table->RemoveCurvesWithoutJob(curves.value_or(std::vector<StoredFile>()));
  return table;
}

absl::StatusOr<uint64_t> HomeJobTable::EpochBefore() const {
  uint64_t before = 0;
  const absl::StatusOr<std::vector<StoredFile>> directories = storage_.List(absl::StrCat(home_.uri(), "/jobs"));
  if (absl::IsNotFound(directories.status())) return before;
  SAMOVAR_RETURN_IF_ERROR(directories.status());
  for (const StoredFile& directory : *directories) {
    uint64_t epoch = 0;
    if (!absl::SimpleAtoi(directory.name, &epoch) || epoch >= epoch_ || epoch <= before) continue;
    const absl::StatusOr<StoredFile> all = storage_.Stat(absl::StrCat(DirectoryOf(epoch), "/", kAll));
    // That coordinator ended before it had taken the jobs.
    if (absl::IsNotFound(all.status())) continue;
    SAMOVAR_RETURN_IF_ERROR(all.status());
    before = epoch;
  }
  return before;
}

absl::Status HomeJobTable::ReadJobs(uint64_t epoch) {
  // The files first: the coordinator of that epoch may live still, and write `all` anew before it removes them.
  Jobs newer;
  std::set<uint64_t> unreadable;
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<StoredFile> files, storage_.List(DirectoryOf(epoch)));
  for (const StoredFile& file : files) {
    uint64_t number = 0;
    if (!absl::SimpleAtoi(file.name, &number)) continue;
    const std::string path = absl::StrCat(DirectoryOf(epoch), "/", file.name);
    const absl::StatusOr<std::string> record = storage_.ReadBytes(path, kMaxFileBytes);
    if (absl::IsNotFound(record.status())) continue;
    SAMOVAR_RETURN_IF_ERROR(record.status());
    v1::HomeJob job;
    if (FromCheckedRecord(*record, &job) && job.number() == number) {
      newer[number].Swap(&job);
    } else {
      unreadable.insert(number);
      damaged_.push_back(absl::StrCat(path, ": the record of job number ", number, " is damaged"));
    }
  }
  const std::string all = absl::StrCat(DirectoryOf(epoch), "/", kAll);
  SAMOVAR_ASSIGN_OR_RETURN(const std::string text, storage_.ReadBytes(all, kMaxFileBytes));
  v1::HomeJobs jobs;
  if (!FromCheckedRecord(text, &jobs)) {
    return absl::DataLossError(absl::StrCat(all, " is damaged: put it back, or move the directory ", home_.uri(),
                                            "/jobs away to begin without its jobs"));
  }
  for (v1::HomeJob& job : *jobs.mutable_jobs()) jobs_[job.number()].Swap(&job);
  for (auto& [number, job] : newer) jobs_[number].Swap(&job);
  for (const uint64_t number : unreadable) jobs_.erase(number);
  Settle(&jobs_);
  return absl::OkStatus();
}

absl::Status HomeJobTable::TakeJobs(const JobTable& before) {
  SAMOVAR_ASSIGN_OR_RETURN(std::vector<Entry> entries, before.Load(&damaged_));
  for (Entry& entry : entries) {
    v1::HomeJob& job = jobs_[entry.number];
    job.set_number(entry.number);
    job.mutable_spec()->Swap(&entry.spec);
    job.mutable_record()->Swap(&entry.record);
    SAMOVAR_ASSIGN_OR_RETURN(const HistoryBlocks curve, before.LoadHistory(entry.number));
    SAMOVAR_RETURN_IF_ERROR(PutBlocks(CurveOf(entry.number), curve));
  }
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<Forgotten> forgotten, before.LoadForgotten());
  for (const Forgotten& one : forgotten) {
    v1::HomeJob& job = jobs_[one.number];
    job.set_number(one.number);
    job.set_forgotten(true);
    job.mutable_spec()->set_job_id(one.job_id);
    job.mutable_spec()->set_export_snapshots(one.exports);
  }
  return absl::OkStatus();
}

void HomeJobTable::RemoveBefore(uint64_t epoch) const {
  // A file that cannot be removed does no harm.
  const std::string jobs = absl::StrCat(home_.uri(), "/jobs");
  for (const StoredFile& directory : storage_.List(jobs).value_or(std::vector<StoredFile>())) {
    uint64_t other = 0;
    if (!absl::SimpleAtoi(directory.name, &other) || other >= epoch) continue;
    const std::string path = absl::StrCat(jobs, "/", directory.name);
    for (const StoredFile& file : storage_.List(path).value_or(std::vector<StoredFile>())) {
      (void)storage_.Remove(absl::StrCat(path, "/", file.name));
    }
    (void)storage_.Remove(path);
  }
}

absl::Status HomeJobTable::WriteAll() {
  v1::HomeJobs all;
  for (const auto& [number, job] : jobs_) *all.add_jobs() = job;
  return storage_.PutBytes(absl::StrCat(DirectoryOf(epoch_), "/", kAll), ToCheckedRecord(all));
}

absl::Status HomeJobTable::Write(Jobs jobs) {
  for (const auto& [number, job] : jobs) {
    SAMOVAR_RETURN_IF_ERROR(storage_.PutBytes(FileOf(number), ToCheckedRecord(job)));
    files_.insert(number);
  }
  SAMOVAR_RETURN_IF_ERROR(CheckOwner());
  for (auto& [number, job] : jobs) jobs_[number].Swap(&job);
  Settle(&jobs_);
  if (files_.size() < kMaxFiles || !WriteAll().ok()) return absl::OkStatus();
  for (const uint64_t number : files_) (void)storage_.Remove(FileOf(number));
  files_.clear();
  return absl::OkStatus();
}

absl::Status HomeJobTable::CheckOwner() const {
  SAMOVAR_ASSIGN_OR_RETURN(const uint64_t newest, home_.Epoch());
  return newest <= epoch_ ? absl::OkStatus() : TakenBy(newest, epoch_);
}

absl::StatusOr<std::vector<JobTable::Entry>> HomeJobTable::Load(std::vector<std::string>* damaged) const {
  absl::MutexLock lock(&mu_);
  damaged->insert(damaged->end(), damaged_.begin(), damaged_.end());
  std::vector<Entry> entries;
  for (const auto& [number, job] : jobs_) {
    if (job.forgotten()) continue;
    if (job.record().format() > kFormat) {
      damaged->push_back(absl::StrCat(home_.uri(), ": job \"", job.spec().job_id(),
                                      "\" was written by another version (format ", job.record().format(), ")"));
      continue;
    }
    entries.push_back({number, job.spec(), job.record()});
    AdoptConsistencyBefore(&entries.back().spec);
  }
  return entries;
}

absl::StatusOr<std::vector<JobTable::Forgotten>> HomeJobTable::LoadForgotten() const {
  absl::MutexLock lock(&mu_);
  std::vector<Forgotten> forgotten;
  for (const auto& [number, job] : jobs_) {
    if (job.forgotten()) forgotten.push_back({number, job.spec().job_id(), job.spec().export_snapshots()});
  }
  return forgotten;
}

absl::Status HomeJobTable::Insert(const Entry& entry, std::optional<uint64_t> replaced) {
  absl::MutexLock lock(&mu_);
  v1::HomeJob job;
  job.set_number(entry.number);
  *job.mutable_spec() = entry.spec;
  *job.mutable_record() = Merged({}, entry.record);
  if (replaced.has_value()) job.add_replaces(*replaced);
  for (const auto& [number, other] : jobs_) {
    if (other.forgotten() && other.spec().job_id() == entry.spec.job_id()) job.add_replaces(number);
  }
  const std::string curve = replaced.has_value() ? CurveOf(*replaced) : "";
  const absl::Status written = Write({{entry.number, std::move(job)}});
  // The caller tells its client that nothing was submitted.
  if (!written.ok()) (void)storage_.Remove(FileOf(entry.number));
  if (written.ok()) RemoveCurve(curve);
  return written;
}

absl::Status HomeJobTable::Update(const std::vector<Change>& changes, const std::vector<Forgotten>& forgotten) {
  absl::MutexLock lock(&mu_);
  Jobs jobs;
  for (const Change& change : changes) {
    const auto former = jobs_.find(change.number);
    v1::HomeJob& job = jobs[change.number];
    if (former != jobs_.end()) job = former->second;
    job.set_number(change.number);
    *job.mutable_record() = Merged(v1::JobRecord(job.record()), change.record);
  }
  std::vector<std::string> curves;
  for (const Forgotten& one : forgotten) {
    curves.push_back(CurveOf(one.number));
    v1::HomeJob& job = jobs[one.number];
    job.Clear();
    job.set_number(one.number);
    job.set_forgotten(true);
    job.mutable_spec()->set_job_id(one.job_id);
    job.mutable_spec()->set_export_snapshots(one.exports);
  }
  SAMOVAR_RETURN_IF_ERROR(Write(std::move(jobs)));
  for (const std::string& curve : curves) RemoveCurve(curve);
  return absl::OkStatus();
}

std::string HomeJobTable::CurveOf(uint64_t number) const {
  const auto job = jobs_.find(number);
  if (job == jobs_.end() || job->second.forgotten()) return "";
  return absl::StrFormat("%s/%020d-%016x", CurvesDirectory(), number, job->second.spec().run());
}

absl::Status HomeJobTable::PutBlocks(const std::string& curve, const HistoryBlocks& blocks) const {
  for (const auto& [key, block] : blocks) {
    SAMOVAR_RETURN_IF_ERROR(
        storage_.PutBytes(absl::StrCat(curve, "/", BlockFileName({key, epoch_})), ToCheckedRecord(block)));
  }
  return absl::OkStatus();
}

void HomeJobTable::RemoveBlocks(const std::string& curve, const std::vector<HistoryKey>& blocks) const {
  const std::set<HistoryKey> removed(blocks.begin(), blocks.end());
  const std::vector<StoredFile> files = storage_.List(curve).value_or(std::vector<StoredFile>());
  std::set<HistoryKey> own;
  for (const StoredFile& file : files) {
    const std::optional<BlockFile> block = ParseBlockFileName(file.name);
    if (block.has_value() && block->epoch == epoch_) own.insert(block->key);
  }
  for (const StoredFile& file : files) {
    const std::optional<BlockFile> block = ParseBlockFileName(file.name);
    if (!block.has_value() || block->epoch > epoch_) continue;
    // A file that cannot be removed does no harm.
    if (removed.contains(block->key) || (block->epoch < epoch_ && own.contains(block->key)))
      (void)storage_.Remove(absl::StrCat(curve, "/", file.name));
  }
}

void HomeJobTable::RemoveCurve(const std::string& curve) const {
  if (curve.empty()) return;
  const absl::StatusOr<std::vector<StoredFile>> files = storage_.List(curve);
  if (!files.ok()) return;
  for (const StoredFile& file : *files) (void)storage_.Remove(absl::StrCat(curve, "/", file.name));
  (void)storage_.Remove(curve);
}

void HomeJobTable::RemoveCurvesWithoutJob(const std::vector<StoredFile>& curves) const {
  std::set<std::string> known;
  for (const auto& [number, job] : jobs_) known.insert(CurveOf(number));
  for (const StoredFile& file : curves) {
    const std::string curve = absl::StrCat(CurvesDirectory(), "/", file.name);
    if (!known.contains(curve)) RemoveCurve(curve);
  }
}

absl::StatusOr<HistoryBlocks> HomeJobTable::LoadHistory(uint64_t number) const {
  std::string curve;
  {
    absl::MutexLock lock(&mu_);
    curve = CurveOf(number);
  }
  HistoryBlocks blocks;
  if (curve.empty()) return blocks;
  const absl::StatusOr<std::vector<StoredFile>> files = storage_.List(curve);
  if (absl::IsNotFound(files.status())) return blocks;
  SAMOVAR_RETURN_IF_ERROR(files.status());
  std::map<HistoryKey, uint64_t> newest;
  for (const StoredFile& file : *files) {
    const std::optional<BlockFile> block = ParseBlockFileName(file.name);
    if (block.has_value()) newest[block->key] = std::max(newest[block->key], block->epoch);
  }
  for (const auto& [key, epoch] : newest) {
    const absl::StatusOr<std::string> record =
        storage_.ReadBytes(absl::StrCat(curve, "/", BlockFileName({key, epoch})), kMaxFileBytes);
    // It was thinned meanwhile.
    if (absl::IsNotFound(record.status())) continue;
    SAMOVAR_RETURN_IF_ERROR(record.status());
    v1::HistoryBlock block;
    if (FromCheckedRecord(*record, &block)) blocks[key] = std::move(block);
  }
  return blocks;
}

absl::Status HomeJobTable::UpdateHistory(const std::vector<HistoryChange>& changes) {
  std::vector<std::string> curves;
  {
    absl::MutexLock lock(&mu_);
    for (const HistoryChange& change : changes) curves.push_back(CurveOf(change.number));
  }
  for (size_t i = 0; i < changes.size(); ++i) {
    if (!curves[i].empty()) SAMOVAR_RETURN_IF_ERROR(PutBlocks(curves[i], changes[i].written));
  }
  SAMOVAR_RETURN_IF_ERROR(CheckOwner());
  for (size_t i = 0; i < changes.size(); ++i) {
    if (!curves[i].empty() && !changes[i].removed.empty()) RemoveBlocks(curves[i], changes[i].removed);
  }
  return absl::OkStatus();
}

}  // namespace samovar
