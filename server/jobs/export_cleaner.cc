#include "server/jobs/export_cleaner.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/exceptions.h"
#include "common/base/status_macros.h"
#include "common/model/exported_snapshot.h"
#include "common/telemetry/guarded_turn.h"
#include "common/telemetry/log.h"

namespace samovar {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(250);
constexpr absl::Duration kRetry = absl::Seconds(30);

// Snapshots, and nothing else: another file in the directory keeps it.
absl::Status Clean(const std::string& directory, const StorageTable& storage) {
  const absl::StatusOr<std::vector<StoredFile>> files = storage.List(directory);
  if (absl::IsNotFound(files.status())) return absl::OkStatus();
  SAMOVAR_RETURN_IF_ERROR(files.status());
  bool is_empty = true;
  for (const StoredFile& file : *files) {
    const bool is_snapshot = absl::StrContains(file.name, "_iter_");
    if (is_snapshot) RemoveExport(absl::StrCat(directory, "/", file.name), storage);
    is_empty = is_empty && is_snapshot;
  }
  if (!is_empty) {
    LogWarning(absl::StrCat(directory, " stays: it holds files that are no snapshots"));
    return absl::OkStatus();
  }
  const absl::Status removed = storage.Remove(directory);
  return absl::IsNotFound(removed) ? absl::OkStatus() : removed;
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
    absl::Status status;
    RunTurn("the cleaner of exported snapshots", [&] { status = CleanAll(); });
    wait = status.ok() ? kTick : kRetry;
    if (status.ok()) continue;
    LogWarning(absl::StrCat("exported snapshots of forgotten jobs could not be removed, which is tried again: ",
                            status.message()));
  }
}

absl::Status ExportCleaner::CleanAll() {
  while (!stopper_.stopped()) {
    std::string directory;
    {
      absl::MutexLock lock(&mu_);
      if (forgotten_.empty()) return absl::OkStatus();
      directory = forgotten_.front();
    }
    SAMOVAR_RETURN_IF_ERROR(CatchExceptions([&] { return Clean(directory, storage_); }));
    absl::MutexLock lock(&mu_);
    forgotten_.pop_front();
  }
  return absl::OkStatus();
}

}  // namespace samovar
