// RemoteStorage makes a Storage of a RemoteStore: files and directories are fetched into a cache, in pieces beside each
// other; files are written to a file without a name first, and sent when they are whole.
//
// Thread safety: all methods may be called from any thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/stopper.h"
#include "common/remote/file_cache.h"
#include "common/remote/remote_store.h"
#include "common/storage/storage.h"

namespace samovar {

class RemoteStorage : public Storage {
 public:
  // A fetched directory has this many files and directories at most, this deep.
  static constexpr size_t kMaxFiles = 1'000'000;
  static constexpr size_t kMaxDepth = 32;

  // `tell` hears of a fetch that copies kToldBytes or more, before it begins; may be empty.
  static constexpr uint64_t kToldBytes = uint64_t{64} << 20;
  // `stopper`: that of the store's requests and of the cache's waits, which Stop stops; may be null.
  RemoteStorage(std::shared_ptr<RemoteStore> store, std::shared_ptr<FileCache> cache,
                std::function<void(const std::string& news)> tell, std::shared_ptr<Stopper> stopper = nullptr);

  absl::StatusOr<std::string> Fetch(const std::string& uri) override;
  absl::Status Put(const std::string& uri, const std::function<absl::Status(int fd)>& write) override;
  absl::Status Create(const std::string& uri, absl::string_view bytes) override;
  absl::StatusOr<StoredFile> Stat(const std::string& uri) override;
  absl::StatusOr<std::vector<StoredFile>> List(const std::string& uri) override;
  absl::Status Remove(const std::string& uri) override;
  absl::Status MakeDirectory(const std::string& uri) override;
  absl::Status CheckWritable(const std::string& uri) override;
  void Stop() override;
  absl::StatusOr<std::unique_ptr<RangeReader>> OpenRange(const std::string& uri, uint64_t offset,
                                                         uint64_t bytes) override;

 private:
  // A file to be copied, and where to.
  struct Copy {
    std::string uri;
    StoredFile file;
    // Below the cache's entry.
    std::string path;
  };
  // The files below a URI.
  struct Content {
    bool is_directory = false;
    // "/NAME", below the cache's entry.
    std::string root;
    std::vector<Copy> copies;
    uint64_t bytes = 0;
    // Names, sizes and versions of all: another one when the content is another.
    std::string key;
  };

  absl::StatusOr<Content> Survey(const std::string& uri);
  // Adds what is below a directory to `copies`, names in the order of their bytes.
  absl::Status Walk(const std::string& uri, const std::string& path, size_t depth, std::vector<Copy>* copies);
  absl::Status CopyAll(const std::vector<Copy>& copies, const std::string& directory);

  const std::shared_ptr<RemoteStore> store_;
  const std::shared_ptr<FileCache> cache_;
  const std::function<void(const std::string&)> tell_;
  const std::shared_ptr<Stopper> stopper_;
};

// "URI/name", with one slash.
std::string JoinUri(const std::string& uri, const std::string& name);

}  // namespace samovar
