// NetFeed fills the tops of all data layers of a net, batch by batch: the layers step together.
//
// Tops are numbered through, layer after layer in net order, as TopsOf (fed_net.h) lists them.
//
// Thread safety: one thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caffe.pb.h"
#include "common/data/partition_source.h"
#include "common/storage/storage_table.h"
#include "samovar/v1/job.pb.h"
#include "worker/feed/batch_feed.h"

namespace samovar {

// By the layer's name, the shapes of one record in each of its tops, as a net is built for them
// (NetOptions::input_shapes).
using ShapesByLayer = std::map<std::string, std::vector<TopShape>>;

// The specs of the data layers: the first, and the further ones after it; none: there are no records.
std::vector<const v1::DatasetSpec*> LayersOf(const v1::DatasetSpec& data);

// Those of all layers of the spec.
ShapesByLayer TopShapesOf(const v1::DatasetSpec& data);

// Makes batches of all the spec's layers so many times smaller. INVALID_ARGUMENT: a batch has no so many equal parts.
absl::Status DivideBatches(uint32_t parts, v1::DatasetSpec* data);

class NetFeed {
 public:
  // As in BatchFeed::Options.
  struct Options {
    caffe::Phase phase = caffe::TRAIN;
    uint32_t batches = 1;
    uint64_t seed = 0;
    // As in OpenReader.
    PartitionSource* partitions = nullptr;
    StorageTable storage = {};
    // As in BatchFeed::Options.
    int threads = 1;
  };

  // Opens the records of the net's data layers, which are those of the spec. INVALID_ARGUMENT: the net has other data
  // layers, or the records are not those of the spec (BatchFeed). Others: the records cannot be read here (OpenReader).
  // REQUIRES: the spec has records.
  static absl::StatusOr<std::unique_ptr<NetFeed>> Open(const caffe::NetParameter& net, const v1::DatasetSpec& data,
                                                       const Options& options);

  // One entry a top: values of a batch.
  std::vector<size_t> BatchElements() const;

  // The records of the first layer; those of its batch.
  uint64_t records() const { return feeds_[0]->records(); }
  uint32_t batch_size() const { return feeds_[0]->batch_size(); }

  // Whether the records of some layer may have shapes of their own, and no batch has more than one.
  bool adapts() const;
  // From now on these are the records that tops are for: those of a batch of iteration t, or of the test's batch from
  // `begin` on. Their shapes. REQUIRES: adapts(). Errors as below.
  absl::StatusOr<ShapesByLayer> AdaptToIteration(uint64_t t, uint32_t batch);
  absl::StatusOr<ShapesByLayer> AdaptToRecord(uint64_t begin);

  // As BatchFeed's, of each layer its own batch.
  absl::Status FillIteration(uint64_t t, uint32_t batch, std::span<const std::span<float>> tops);
  // begin and end count records of the first layer; another one whose batches are r times as large reads r * begin to r
  // * end. INVALID_ARGUMENT: these are not whole numbers.
  absl::Status FillRange(uint64_t begin, uint64_t end, std::span<const std::span<float>> tops);

 private:
  NetFeed(std::vector<std::unique_ptr<BatchFeed>> feeds, std::vector<std::string> layers)
      : feeds_(std::move(feeds)), layers_(std::move(layers)) {}

  template <typename Adapt>
  absl::StatusOr<ShapesByLayer> AdaptEach(Adapt adapt);
  // Calls fill(feed, its tops) for each layer, until one fails.
  template <typename Fill>
  absl::Status FillEach(std::span<const std::span<float>> tops, Fill fill);

  const std::vector<std::unique_ptr<BatchFeed>> feeds_;
  // Their layers' names.
  const std::vector<std::string> layers_;
};

}  // namespace samovar
