// A net's text, its records and its trained weights, for commands that run a model in this process.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "caffe.pb.h"
#include "common/base/thread_pool.h"
#include "common/caffe/net_filter.h"
#include "common/caffe/net_origin.h"
#include "common/data/partition_source.h"
#include "common/storage/storage_table.h"
#include "samovar/v1/job.pb.h"
#include "samovar/v1/layout.pb.h"
#include "worker/feed/net_feed.h"
#include "worker/nn/net.h"

namespace samovar {

struct ModelFiles {
  // A net's prototxt.
  std::string model;
  // A .caffemodel; empty: weights are zero.
  std::string weights;
  // Records instead of those that the net's data layer names; empty: those.
  std::string data;
  StateChoice state = {};
  // The storage of these files, and of those that the net names.
  StorageTable storage = {};
};

struct OpenModel {
  // Filtered for the phase; names of files in it are absolute.
  caffe::NetParameter param;
  NetOrigin origin;
  caffe::Phase phase = caffe::TEST;
  // No records: the net has no data layer.
  v1::DatasetSpec data;
  v1::ParameterLayout layout;
  v1::NetOutputs outputs;
  // One value for each float of the layout.
  std::vector<float> weights;
  // As ModelFiles has it.
  StorageTable storage = {};
  // Opens the partitions of a set that is not on this machine.
  std::shared_ptr<PartitionSource> partitions = {};
};

// Reads the net as it is in the phase, opens its records and reads its weights; the file must have the weights of each
// layer with parameters. The message of an error names file and layer.
absl::StatusOr<OpenModel> OpenModelFiles(const ModelFiles& files, caffe::Phase phase);

// The net as it is in the phase, upgraded, and where its layers stand. The first part of OpenModelFiles.
absl::StatusOr<caffe::NetParameter> ReadNetInPhase(const std::string& path, caffe::Phase phase,
                                                   const StateChoice& choice, NetOrigin* origin,
                                                   const StorageTable& storage);

// The net for batches of so many records (0: as its text says), with the model's weights. The pool outlives it.
// `keep_blobs` as in NetOptions.
absl::StatusOr<std::unique_ptr<Net>> BuildNetOf(const OpenModel& model, int batch_size, ThreadPool* pool,
                                                bool keep_blobs = false);

// A feed of the model's records, in order, which so many threads fill; the model outlives it. REQUIRES:
// model.data.records() > 0
absl::StatusOr<std::unique_ptr<NetFeed>> OpenFeedOf(const OpenModel& model, int threads = 1);

// Makes the net one for the records from `begin` on, where they may have sizes of their own.
absl::Status FitToRecord(uint64_t begin, NetFeed* feed, Net* net);

// Where the feed's records go in the net. REQUIRES: the net is one of the model's.
std::vector<std::span<float>> FedTops(const OpenModel& model, const Net& net);

}  // namespace samovar
