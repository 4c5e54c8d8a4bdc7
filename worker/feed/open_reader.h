// From a net's data layer to the reader of its records.
//
//   type         source_class               records
//   Data                                    Caffe LMDB (backend: LMDB), or partitioned set
//   ImageData                               image files
//   HDF5Data                                HDF5 files
//   MemoryData   com.yahoo.ml.caffe.LMDB    the same, as CaffeOnSpark names it
//
// Other layers that bring data into a net are refused by name, with what to write instead. Layers whose values are in
// the net itself (Input, DummyData) are none of these.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "caffe.pb.h"
#include "common/data/partition_source.h"
#include "common/storage/storage_table.h"
#include "worker/feed/record_reader.h"

namespace samovar {

// The net's data layers, in net order, if it has any. INVALID_ARGUMENT: two have one name.
absl::StatusOr<std::vector<const caffe::LayerParameter*>> FindFedLayers(const caffe::NetParameter& net);

// All that follow REQUIRE a layer that FindFedLayers found. Messages begin with the layer's name.

// Where the layer says that its records are: a path, or a URI; "file:" is taken off. INVALID_ARGUMENT: it says nothing,
// or the URI is of a scheme that is not offered. UNIMPLEMENTED: a layer or a backend that is not offered.
absl::StatusOr<std::string> SourceOf(const caffe::LayerParameter& layer, const StorageTable& storage);

// INVALID_ARGUMENT: there is none.
absl::StatusOr<uint32_t> FeedBatchSize(const caffe::LayerParameter& layer);

// Fields of the layer that are accepted and have no effect.
std::vector<std::string> FeedWarnings(const caffe::LayerParameter& layer);

// `source`: instead of the layer's own, as SourceOf gives it. `partitions`: opens the partitions of partitioned sets,
// and outlives the reader; null: they are read where they lie. Errors of SourceOf (but for a missing source) and of the
// reader.
absl::StatusOr<std::unique_ptr<RecordReader>> OpenReader(const caffe::LayerParameter& layer, caffe::Phase phase,
                                                         const std::string& source, PartitionSource* partitions,
                                                         const StorageTable& storage);

}  // namespace samovar
