#include "worker/feed/remote_partitions.h"

#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/list_directory.h"
#include "common/base/read_file.h"
#include "common/base/status_macros.h"
#include "common/remote/file_cache.h"
#include "common/storage/paths.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

constexpr char kDirectory[] = "partitions";

// The bytes that the partitions that are there use, and those that the disk has free.
absl::StatusOr<uint64_t> BytesFor(const std::string& directory) {
  std::error_code error;
  uint64_t bytes = fs::space(fs::path(directory).parent_path(), error).available;
  if (error) return ErrnoStatus(error.value(), "read", directory);
  for (const std::string& name : ListDirectory(directory).value_or(std::vector<std::string>())) {
    const uint64_t used = fs::file_size(absl::StrCat(directory, "/", name, "/data.mdb"), error);
    // Another process has removed it, or it is the lock.
    if (!error) bytes += used;
  }
  return bytes;
}

}  // namespace

bool RemotePartitions::Serves(const std::string& set) const { return !LocalPath(set).ok(); }

absl::StatusOr<PartitionCache*> RemotePartitions::Cache() {
  absl::MutexLock lock(&mu_);
  if (stopped_) return absl::CancelledError("the cache of partitions is closed");
  if (cache_ != nullptr) return cache_.get();
  PartitionCache::Options options;
  SAMOVAR_ASSIGN_OR_RETURN(const std::string files, FileCache({}).Directory());
  options.directory = absl::StrCat(files, "/", kDirectory);
  SAMOVAR_ASSIGN_OR_RETURN(const uint64_t bytes, BytesFor(options.directory));
  options.bytes = bytes / 2;
  options.storage = storage_;
  SAMOVAR_ASSIGN_OR_RETURN(cache_, PartitionCache::Create(options));
  return cache_.get();
}

absl::StatusOr<std::shared_ptr<const LmdbRecords>> RemotePartitions::Open(const std::string& set,
                                                                          const v1::DatasetPartition& partition) {
  SAMOVAR_ASSIGN_OR_RETURN(PartitionCache* const cache, Cache());
  return cache->Open(set, partition);
}

void RemotePartitions::Stop() {
  absl::MutexLock lock(&mu_);
  stopped_ = true;
  if (cache_ != nullptr) cache_->Stop();
}

}  // namespace samovar
