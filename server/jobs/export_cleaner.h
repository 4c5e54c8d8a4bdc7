// ExportCleaner removes exported snapshots of jobs that were forgotten, from the directories that the coordinator chose
// for them, as soon as their storage lets it.
//
// Thread safety: public methods may be called from any thread; none blocks but Stop. Lock order: mu_ is a leaf lock.
#pragma once

#include <deque>
#include <string>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "common/base/stopper.h"
#include "common/storage/storage_table.h"

namespace samovar {

class ExportCleaner {
 public:
  explicit ExportCleaner(StorageTable storage) : storage_(std::move(storage)) {}
  // As Stop().
  ~ExportCleaner();

  void Start();
  // Ends the thread once its storage has answered. Idempotent.
  void Stop();

  // The job's snapshots in the directory, "DIR/JOB-RUN", are nobody's any more, durably. Other files there stay, and
  // the directory with them. Asking for a directory that is gone is no error.
  void Forget(const std::string& directory) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Run();
  // Each of the directories once. False: one is to be tried again.
  bool CleanAll() ABSL_LOCKS_EXCLUDED(mu_);

  const StorageTable storage_;
  Stopper stopper_;
  mutable absl::Mutex mu_;
  std::deque<std::string> forgotten_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace samovar
