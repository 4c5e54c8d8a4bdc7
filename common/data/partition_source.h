// PartitionSource is where a program reads the partitions of partitioned data sets from, if not where they lie: a
// cache.
//
// Thread safety: all methods may be called from any thread.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/data/lmdb_records.h"
#include "samovar/v1/dataset.pb.h"

namespace samovar {

class PartitionSource {
 public:
  virtual ~PartitionSource() = default;

  // Whether this set's partitions are read from here: those of another one are opened where they lie.
  virtual bool Serves(const std::string& set) const { return !set.empty(); }

  // Opens a partition of the set in this directory, a path or a URI, and keeps it open at least as long as the returned
  // object lives. May take as long as copying it does. A caller that reads the partition again after others asks again.
  // Errors name the partition.
  virtual absl::StatusOr<std::shared_ptr<const LmdbRecords>> Open(const std::string& set,
                                                                  const v1::DatasetPartition& partition) = 0;
};

}  // namespace samovar
