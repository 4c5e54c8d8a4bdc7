// Records of a Caffe LMDB or a partitioned set: those of Data layers, and of CaffeOnSpark's MemoryData layers that read
// an LMDB. Tops: the transformed record, and, where there are two, its label.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "caffe.pb.h"
#include "common/data/partition_source.h"
#include "common/storage/storage_table.h"
#include "worker/feed/record_reader.h"

namespace samovar {

// `source`: directory of the LMDB, or of the set, whose partitions `partitions` opens, if it is not null. Errors of
// Dataset::Open and Transformer::Create. INVALID_ARGUMENT: the number of tops; memory_data_param does not say the
// records' shape.
absl::StatusOr<std::unique_ptr<RecordReader>> OpenLmdbReader(const caffe::LayerParameter& layer, caffe::Phase phase,
                                                             const std::string& source, PartitionSource* partitions,
                                                             const StorageTable& storage);

}  // namespace samovar
