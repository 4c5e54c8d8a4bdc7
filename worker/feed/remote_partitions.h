// RemotePartitions is the cache of a program that was not told of one: it copies partitions of sets that are on other
// machines into a directory beside the other copies of remote files, within a bound, for all processes of the user.
// Sets of this machine are read where they lie.
//
// Thread safety: all methods may be called from any thread.
#pragma once

#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/data/partition_source.h"
#include "common/storage/storage_table.h"
#include "worker/feed/partition_cache.h"

namespace samovar {

class RemotePartitions final : public PartitionSource {
 public:
  explicit RemotePartitions(const StorageTable& storage) : storage_(storage) {}

  bool Serves(const std::string& set) const override;
  // As PartitionCache's, which is made when it is first needed: half of what its disk has free, and it uses, is its
  // bound.
  absl::StatusOr<std::shared_ptr<const LmdbRecords>> Open(const std::string& set,
                                                          const v1::DatasetPartition& partition) override
      ABSL_LOCKS_EXCLUDED(mu_);
  // As PartitionCache's.
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  absl::StatusOr<PartitionCache*> Cache() ABSL_LOCKS_EXCLUDED(mu_);

  const StorageTable storage_;
  absl::Mutex mu_;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  std::unique_ptr<PartitionCache> cache_ ABSL_GUARDED_BY(mu_);
};

}  // namespace samovar
