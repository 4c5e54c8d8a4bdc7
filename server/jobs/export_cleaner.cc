#include "server/jobs/export_cleaner.h"

#include <map>
#include <set>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/base/exceptions.h"
#include "common/base/status_macros.h"
#include "common/model/exported_snapshot.h"
#include "common/telemetry/guarded_turn.h"
#include "common/telemetry/log.h"

namespace samovar {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(250);
constexpr absl::Duration kRetry = absl::Seconds(30);

// "lenet" of ".../lenet-0123456789abcdef", see JobQueue::ChooseExports.
std::string JobOf(const std::string& directory) {
  const std::string name = directory.substr(directory.rfind('/') + 1);
  return name.substr(0, name.rfind('-'));
}

// Whether the entry of the directory is a snapshot of the job. One whose manifest is missing was being written, or is
// being removed.
bool IsSnapshotOf(const std::string& job, const std::string& directory, const StoredFile& file,
                  const StorageTable& storage) {
  absl::string_view iteration = file.name;
  uint64_t number = 0;
  if (!file.is_directory || !absl::ConsumePrefix(&iteration, absl::StrCat(job, "_iter_")) ||
      !absl::SimpleAtoi(iteration, &number)) {
    return false;
  }
  const absl::StatusOr<ExportedSnapshot> snapshot =
      ExportedSnapshot::Open(absl::StrCat(directory, "/", file.name), storage);
  return snapshot.ok() ? snapshot->manifest().spec().job_id() == job : absl::IsNotFound(snapshot.status());
}

// The job's snapshots, and nothing else: another file keeps the directory.
absl::Status Clean(const std::string& directory, const StorageTable& storage) {
  const absl::StatusOr<std::vector<StoredFile>> files = storage.List(directory);
  if (absl::IsNotFound(files.status())) return absl::OkStatus();
  SAMOVAR_RETURN_IF_ERROR(files.status());
  for (const StoredFile& file : *files) {
    if (IsSnapshotOf(JobOf(directory), directory, file, storage))
      RemoveExport(absl::StrCat(directory, "/", file.name), storage);
  }
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<StoredFile> left, storage.List(directory));
  if (!left.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(directory, "/", left[0].name, " is none of its snapshots"));
  }
  const absl::Status removed = storage.Remove(directory);
  return absl::IsNotFound(removed) ? absl::OkStatus() : removed;
}

// Those of a directory's subdirectories that are there, found with one look at it: there may be thousands of which most
// are gone.
absl::StatusOr<std::vector<std::string>> StillThere(const std::string& parent,
                                                    const std::vector<std::string>& directories,
                                                    const StorageTable& storage) {
  if (directories.size() == 1) return directories;
  std::vector<std::string> there;
  const absl::StatusOr<std::vector<StoredFile>> files = storage.List(parent);
  if (absl::IsNotFound(files.status())) return there;
  SAMOVAR_RETURN_IF_ERROR(files.status());
  std::set<std::string> names;
  for (const StoredFile& file : *files) names.insert(absl::StrCat(parent, "/", file.name));
  for (const std::string& directory : directories) {
    if (names.contains(directory)) there.push_back(directory);
  }
  return there;
}

bool MayPass(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) || absl::IsResourceExhausted(status);
}

}  // namespace

ExportCleaner::~ExportCleaner() { Stop(); }

void ExportCleaner::Start() {
  thread_ = std::thread([this] { Run(); });
}

void ExportCleaner::Stop() {
  stopper_.Stop();
  if (thread_.joinable()) thread_.join();
}

void ExportCleaner::Forget(const std::string& directory) {
  absl::MutexLock lock(&mu_);
  forgotten_.push_back(directory);
}

void ExportCleaner::Run() {
  absl::Duration wait = kTick;
  while (!stopper_.WaitFor(wait)) {
    bool done = false;
    RunTurn("the cleaner of exported snapshots", [&] { done = CleanAll(); });
    wait = done ? kTick : kRetry;
  }
}

bool ExportCleaner::CleanAll() {
  std::map<std::string, std::vector<std::string>> by_parent;
  {
    absl::MutexLock lock(&mu_);
    for (const std::string& directory : forgotten_)
      by_parent[directory.substr(0, directory.rfind('/'))].push_back(directory);
    forgotten_.clear();
  }
  std::vector<std::string> later;
  const auto note = [&](const absl::Status& status, const std::string& place,
                        const std::vector<std::string>& directories) {
    if (status.ok()) return;
    if (MayPass(status)) later.insert(later.end(), directories.begin(), directories.end());
    LogWarning(
        absl::StrCat("exported snapshots of a forgotten job in ", place,
                     MayPass(status) ? " cannot be removed now, which is tried again: " : " stay: ", status.message()));
  };
  for (const auto& entry : by_parent) {
    const std::string& parent = entry.first;
    const std::vector<std::string>& directories = entry.second;
    absl::StatusOr<std::vector<std::string>> there = std::vector<std::string>();
    const absl::Status listed = CatchExceptions([&] {
      there = StillThere(parent, directories, storage_);
      return there.status();
    });
    note(listed, parent, directories);
    if (!listed.ok()) continue;
    for (const std::string& directory : *there) {
      // It is forgotten durably, so that the next start goes on.
      if (stopper_.stopped()) return true;
      note(CatchExceptions([&] { return Clean(directory, storage_); }), directory, {directory});
    }
  }
  absl::MutexLock lock(&mu_);
  forgotten_.insert(forgotten_.end(), later.begin(), later.end());
  return later.empty();
}

}  // namespace samovar
