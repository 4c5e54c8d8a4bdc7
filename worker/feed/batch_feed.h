// BatchFeed fills batches from a data set: reads, transforms, and lays them out as [N, C, H, W] floats.
//
// Thread safety: one thread at a time (the data set may be shared).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caffe.pb.h"
#include "common/data/dataset.h"
#include "common/data/iteration_schedule.h"
#include "common/data/record_shape.h"
#include "samovar/v1/job.pb.h"
#include "worker/feed/transformer.h"

namespace samovar {

class BatchFeed {
 public:
  struct Options {
    std::shared_ptr<Dataset> dataset;
    caffe::LayerParameter data_layer;  // its transform_param is obeyed
    caffe::Phase phase = caffe::TRAIN;
    v1::DatasetSpec spec;  // what the job was submitted with
    uint64_t seed = 0;
  };

  // FAILED_PRECONDITION: the data set is not what the spec says (records or shape). INVALID_ARGUMENT: transform_param,
  // or the spec's batch or partitions; the message names the data layer.
  static absl::StatusOr<std::unique_ptr<BatchFeed>> Create(Options options);

  // Of a sample after the transform.
  RecordShape shape() const { return transformer_.output_shape(); }
  uint32_t batch_size() const { return schedule_.options().batch_size; }

  // The batch of iteration t: batch_size() samples, shuffled and augmented, a pure function of (spec, seed, t).
  // `data` [batch_size, C, H, W]; `labels` [batch_size], or empty if the net takes none.
  // REQUIRES: phase TRAIN. INVALID_ARGUMENT: a span has another size. DATA_LOSS: a damaged record.
  absl::Status FillIteration(uint64_t t, std::span<float> data, std::span<float> labels);

  // Records begin ... end-1 in order of keys, not shuffled; `data` [end - begin, C, H, W], `labels` as above.
  // REQUIRES: phase TEST. OUT_OF_RANGE: beyond the last record; else as above.
  absl::Status FillRange(uint64_t begin, uint64_t end, std::span<float> data, std::span<float> labels);

 private:
  BatchFeed(Options options, Transformer transformer, IterationSchedule schedule)
      : options_(std::move(options)), transformer_(std::move(transformer)), schedule_(std::move(schedule)) {}

  // Fills sample after sample from positions_.
  absl::Status Fill(uint64_t iteration, std::span<float> data, std::span<float> labels);

  const Options options_;
  const Transformer transformer_;
  const IterationSchedule schedule_;

  // Kept from call to call for their memory.
  std::vector<uint64_t> positions_;
  caffe::Datum datum_;
};

}  // namespace samovar
