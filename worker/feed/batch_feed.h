// BatchFeed fills the tops of a net's data layer: reads and transforms the records of a batch, and lays them out sample
// after sample, [batch, ...] floats a top.
//
// Thread safety: one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caffe.pb.h"
#include "common/base/thread_pool.h"
#include "common/data/iteration_schedule.h"
#include "samovar/v1/job.pb.h"
#include "worker/feed/record_reader.h"

namespace samovar {

class BatchFeed {
 public:
  struct Options {
    std::unique_ptr<RecordReader> reader;
    caffe::Phase phase = caffe::TRAIN;
    v1::DatasetSpec spec;  // the job's records, as submitted
    // Batches of an iteration: the solver's iter_size, times the parts that its batch is cut into.
    uint32_t batches = 1;
    uint64_t seed = 0;
    // Threads that fill a batch together, if it is large and the reader allows; the samples are the same.
    int threads = 1;
  };

  // INVALID_ARGUMENT: the records are not those of the spec (their number, shapes or digest; records that were appended
  // behind them are not read), or the spec's batch or partitions cannot be. Errors of RecordReader::Digest. The message
  // names the data layer.
  static absl::StatusOr<std::unique_ptr<BatchFeed>> Create(Options options);

  const std::vector<TopShape>& tops() const { return options_.reader->tops(); }
  uint64_t records() const { return options_.spec.records(); }
  // Samples of one batch.
  uint32_t batch_size() const { return options_.spec.batch_size(); }

  // Whether records may have shapes of their own: a batch is one record, which is as large as it is stored.
  bool adapts() const { return batch_size() == 1 && options_.reader->adapts(); }
  // From now on tops() are those of the one record of this batch of iteration t, or of record `position` of a test,
  // which goes on after the last with the first. REQUIRES: adapts(). Errors as below.
  absl::Status AdaptToIteration(uint64_t t, uint32_t batch);
  absl::Status AdaptToRecord(uint64_t position);

  // One batch of iteration t: batch_size() samples, shuffled unless the spec says in_order, and augmented, a pure
  // function of (spec, batches, seed, t, batch). Sample i of batch b is sample b * batch_size() + i of the iteration.
  // `tops`: one span a top, batch_size() records long. REQUIRES: phase TRAIN. INVALID_ARGUMENT: spans of other sizes,
  // or no such batch. DATA_LOSS: a damaged record.
  absl::Status FillIteration(uint64_t t, uint32_t batch, std::span<const std::span<float>> tops);

  // Records begin ... end-1 in their own order, not shuffled; each span is end - begin records long. After the last
  // record comes the first again. REQUIRES: phase TEST. OUT_OF_RANGE: end is before begin; else as above.
  absl::Status FillRange(uint64_t begin, uint64_t end, std::span<const std::span<float>> tops);

 private:
  BatchFeed(Options options, IterationSchedule schedule);

  void CountElements();
  // The records of iteration t, into positions_.
  void ListRecords(uint64_t t);
  absl::Status CheckTops(uint64_t samples, std::span<const std::span<float>> tops) const;
  // Makes readers_, and threads for them.
  void AddReaders();
  // Fills sample after sample, or several at a time; `first_sample` is the number of the first one in its iteration.
  absl::Status Fill(std::span<const uint64_t> positions, uint64_t iteration, uint64_t first_sample,
                    std::span<const std::span<float>> tops);

  // One sample, read by readers_[reader].
  absl::Status ReadSample(size_t reader, uint64_t position, const Draw& draw, size_t sample,
                          std::span<const std::span<float>> tops);
  absl::Status FillWithThreads(size_t samples, absl::FunctionRef<absl::Status(size_t sample, size_t reader)> read);
  bool WorthThreads(uint64_t samples) const;

  const Options options_;
  const IterationSchedule schedule_;
  // options_.reader, and others of the same records; one for each thread.
  std::vector<RecordReader*> readers_;
  std::vector<std::unique_ptr<RecordReader>> others_;
  std::unique_ptr<ThreadPool> pool_;  // null: one thread fills
  std::vector<size_t> elements_;      // of a record in each top

  // Which iteration's records positions_ holds.
  std::optional<uint64_t> listed_;
  std::vector<uint64_t> positions_;
  // Kept for their memory: where each reader writes, and how each sample went.
  std::vector<std::vector<float*>> records_;
  std::vector<absl::Status> statuses_;
};

}  // namespace samovar
