// MountedStorage is a storage for tests: "SCHEME:/x" is the file x in a directory, and it remembers what was asked of
// it. A file that is fetched is a copy, as from another machine; a directory is given as it is.
#pragma once

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/storage/local_storage.h"
#include "common/storage/storage.h"
#include "tests/support/temp_dir.h"

namespace samovar {

class MountedStorage : public Storage {
 public:
  explicit MountedStorage(std::string directory) : directory_(std::move(directory)) {}

  // "fetch mem:/x" and the like, in order.
  std::vector<std::string> calls() const ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    return calls_;
  }
  bool Had(const std::string& call) const {
    const std::vector<std::string> all = calls();
    return std::find(all.begin(), all.end(), call) != all.end();
  }

  absl::StatusOr<std::string> Fetch(const std::string& uri) override {
    const std::string path = Note("fetch ", uri);
    std::error_code error;
    if (!std::filesystem::is_regular_file(path, error)) return path;
    const std::string copy = copies_.File(absl::StrCat(++copied_));
    std::filesystem::copy_file(path, copy, error);
    return copy;
  }
  absl::Status Put(const std::string& uri, const std::function<absl::Status(int fd)>& write) override {
    return local_.Put(Note("put ", uri), write);
  }
  absl::Status Create(const std::string& uri, absl::string_view bytes) override {
    return local_.Create(Note("create ", uri), bytes);
  }
  absl::StatusOr<StoredFile> Stat(const std::string& uri) override { return local_.Stat(Note("stat ", uri)); }
  absl::StatusOr<std::vector<StoredFile>> List(const std::string& uri) override {
    return local_.List(Note("list ", uri));
  }
  absl::Status Remove(const std::string& uri) override { return local_.Remove(Note("remove ", uri)); }
  absl::Status MakeDirectory(const std::string& uri) override { return local_.MakeDirectory(Note("make ", uri)); }
  absl::Status CheckWritable(const std::string& uri) override { return local_.CheckWritable(Note("check ", uri)); }
  absl::StatusOr<std::unique_ptr<RangeReader>> OpenRange(const std::string& uri, uint64_t offset,
                                                         uint64_t bytes) override {
    return local_.OpenRange(Note("open ", uri), offset, bytes);
  }

 private:
  // The path of what the URI names.
  std::string Note(const std::string& call, const std::string& uri) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    calls_.push_back(call + uri);
    return directory_ + uri.substr(uri.find(':') + 1);
  }

  const std::string directory_;
  TempDir copies_;
  LocalStorage local_;
  // A count only: orders nothing.
  std::atomic<int> copied_{0};
  mutable absl::Mutex mu_;
  std::vector<std::string> calls_ ABSL_GUARDED_BY(mu_);
};

}  // namespace samovar
