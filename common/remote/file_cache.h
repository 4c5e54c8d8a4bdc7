// FileCache keeps copies of remote files on this machine, for all processes of one user, within a bound of bytes.
//
// An entry is a directory, made whole under another name and renamed; it is found by a key that changes with the
// content. A process holds the entries that it has asked for, by a lock on a file, until it ends: they are not removed.
//
// Thread safety: all methods may be called from any thread, and from several processes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "common/base/stopper.h"

namespace samovar {

class FileCache {
 public:
  struct Options {
    // Empty: SAMOVAR_FILE_CACHE of the environment, or "samovar-files-UID" in TMPDIR or /var/tmp.
    std::string directory = "";
    // Entries that nobody holds are removed, those not asked for longest first, while all together have more. 0: half
    // of what the file system has free and the entries use.
    uint64_t max_bytes = 0;
    // Ends the waits for other processes. May be null.
    std::shared_ptr<const Stopper> stopper = nullptr;
  };

  explicit FileCache(const Options& options) : options_(options) {}
  // Lets its entries go.
  ~FileCache();
  FileCache(const FileCache&) = delete;
  FileCache& operator=(const FileCache&) = delete;

  // The directory of the entry of this key; `fill` puts its files into a new one, if there is none. Waits while another
  // process fills it; a process fills one entry at a time. `bytes`: its size. RESOURCE_EXHAUSTED: the file system
  // has no room for it; FAILED_PRECONDITION: the cache's directory is another user's; CANCELLED: the stopper was
  // stopped; otherwise the error of `fill`.
  absl::StatusOr<std::string> Get(absl::string_view key, uint64_t bytes,
                                  const std::function<absl::Status(const std::string& directory)>& fill)
      ABSL_LOCKS_EXCLUDED(mu_);

  // The cache's directory, which is made, for this user alone, if it is not there. FAILED_PRECONDITION: as above.
  absl::StatusOr<std::string> Directory() const;

  // A new file without a name, for reading and writing, in the cache's directory. The caller closes it.
  absl::StatusOr<int> OpenNameless();

 private:
  absl::Status MakeRoom(const std::string& directory, uint64_t bytes) const;

  const Options options_;
  absl::Mutex mu_;
  // Locked files of held entries, by key.
  std::map<std::string, int> held_ ABSL_GUARDED_BY(mu_);
};

}  // namespace samovar
