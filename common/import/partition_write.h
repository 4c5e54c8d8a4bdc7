// Makes partitioned sets of partitions that several processes write, on several machines: each process streams its
// records into WritePartition, and one joins the partitions with a manifest, which comes last. So there is a whole set,
// or none; a process that is killed, or does its work twice, leaves a directory that no manifest names.
//
// The stream is, for each record, in the order of the keys (bytewise):
//
//   u32 bytes of the key (1 to 511), the key, u32 bytes of the value, the value: a serialised caffe.Datum
//
// and at the end a u32 0, behind which nothing comes; numbers have their highest byte first. A stream that ends without
// it was cut.
//
// Beside its data file a partition has its report, which WritePartition also returns. Of several that write a
// partition of one name one is the first; the others find that theirs is the same, which is as good as having written
// it, or that it is not. So a task that runs twice does no harm, and what was written stays.
//
// Thread safety: one thread at a time for one partition, and for one set's JoinPartitions.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/import/record_import.h"
#include "common/storage/storage_table.h"
#include "samovar/v1/dataset.pb.h"

namespace samovar {

// Makes the partition SET/NAME of the stream that the file descriptor gives, and returns the manifest of a set that has
// this partition alone. Every record is checked, encoded images are decoded; errors name its key. INVALID_ARGUMENT: the
// name does not begin with "part-" or is no directory's, the stream is cut or not one, or a record is wrong. CANCELLED:
// options.stopper was stopped. ALREADY_EXISTS: another partition has the name. Errors of RecordImport.
absl::StatusOr<v1::DatasetManifest> WritePartition(int input, const std::string& set, const std::string& name,
                                                   ImportOptions options);

// Whether JoinPartitions could make a set there: ALREADY_EXISTS if there is one, and `force` is not set, or things that
// are of no set, and no partitions beside them.
absl::Status CheckJoinTarget(const std::string& set, bool force, const StorageTable& storage);

// Makes a set of partitions that are in place, in this order; `parts` are what WritePartition has returned for them.
// Partitions that the set does not name are removed; `tell`, which may be empty, hears of other things that are there
// and stay. INVALID_ARGUMENT: their records are not alike, they are not cut as a set's partitions are, or one is not
// what its own report says. NOT_FOUND, DATA_LOSS: a partition is not there, or of another size. Errors of
// CheckJoinTarget.
absl::StatusOr<v1::DatasetManifest> JoinPartitions(const std::string& set,
                                                   const std::vector<v1::DatasetManifest>& parts, bool force,
                                                   const StorageTable& storage,
                                                   const std::function<void(const std::string& news)>& tell = {});

}  // namespace samovar
