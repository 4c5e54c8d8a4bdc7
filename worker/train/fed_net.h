// A net and the data that it is fed with.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caffe.pb.h"
#include "common/base/thread_pool.h"
#include "common/data/partition_source.h"
#include "common/storage/storage_table.h"
#include "samovar/v1/job.pb.h"
#include "samovar/v1/layout.pb.h"
#include "worker/feed/net_feed.h"
#include "worker/nn/net.h"

namespace samovar {

// What a worker has for the nets and the feeds of all its jobs.
struct NetMeans {
  // Shares the work of each layer, and outlives the nets; null: the caller's thread alone.
  ThreadPool* pool = nullptr;
  // Opens the partitions of data sets, and outlives the feeds; null: they are read where they lie.
  PartitionSource* partitions = nullptr;
  // Where data sets are, and the files that nets name.
  StorageTable storage = {};
};

struct FedNet {
  // Null: the net has no data layer.
  std::unique_ptr<NetFeed> feed;
  std::unique_ptr<Net> net;
};

// Builds the net for its records, which are opened. `outputs`: the outputs that the job expects of the net. `batches`:
// those of an iteration. `batch_size`: of the net; 0: its layers' own. It must be the data's. `of_parts`: equal parts
// of a batch that the net's batch is one of (NetOptions::parts). INVALID_ARGUMENT, UNIMPLEMENTED: the net is wrong,
// wherever it is built. Other codes: something is wrong on this machine, the data set above all.
absl::StatusOr<FedNet> OpenFedNet(const caffe::NetParameter& net, caffe::Phase phase, const v1::DatasetSpec& data,
                                  const v1::NetOutputs& outputs, uint64_t seed, const NetMeans& means,
                                  uint32_t batches = 1, int batch_size = 0, uint32_t of_parts = 1);

// The same net for batches of another size, with memory of its own.
absl::StatusOr<std::unique_ptr<Net>> NetForBatch(const caffe::NetParameter& net, caffe::Phase phase,
                                                 const v1::DatasetSpec& data, int batch_size, const NetMeans& means,
                                                 uint32_t of_parts = 1);

// The tops of the net that the job's feed fills: those of the data layers, in net order. None: the net has none.
std::vector<std::span<float>> TopsOf(const Net& net, const v1::DatasetSpec& data);

// Makes the net one for records of these shapes, if it is not.
absl::Status FitNet(const ShapesByLayer& shapes, Net* net);

// The error of a feed, for a caller that decides whether to try again. A record that is damaged (DATA_LOSS) and a file
// that is not there or may not be read (NOT_FOUND, PERMISSION_DENIED) are so the next time, too: INVALID_ARGUMENT.
absl::Status FinalIfUnreadable(const absl::Status& fed);

// INVALID_ARGUMENT unless the blobs have the same names, places and shapes; the message names the first that differs.
absl::Status CheckSameLayout(const v1::ParameterLayout& ours, const v1::ParameterLayout& jobs);

}  // namespace samovar
