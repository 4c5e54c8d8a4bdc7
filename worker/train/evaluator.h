// Evaluator tests weights on slices of one test set.
//
// Thread safety: one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/stopper.h"
#include "common/base/thread_pool.h"
#include "samovar/v1/job.pb.h"
#include "worker/train/fed_net.h"

namespace samovar {

class Evaluator {
 public:
  // For test net `number` of the job. Errors as OpenFedNet's; INVALID_ARGUMENT also if the test net has parameters that
  // the trained one has not. What the means point to outlives this.
  static absl::StatusOr<std::unique_ptr<Evaluator>> Create(const v1::JobSpec& spec, uint32_t number,
                                                           const NetMeans& means);

  // `weights`: a flat vector of the job's layout.
  void SetWeights(std::span<const float> weights);

  // For each output value, the sum over the records [begin, end) of its average a record. CANCELLED: `ended` was
  // stopped. OUT_OF_RANGE: more records than the test set has; after its last one comes the first again. Errors of the
  // feed and the net. REQUIRES: begin < end
  absl::StatusOr<std::vector<double>> Sums(uint64_t begin, uint64_t end, uint64_t iteration, const Stopper& ended);

 private:
  // A blob's place in the job's flat vector and in the test net's, in floats.
  struct Piece {
    uint64_t from = 0;
    uint64_t to = 0;
    uint64_t count = 0;
  };

  Evaluator(const caffe::NetParameter& param, const v1::DatasetSpec& data, const NetMeans& means, FedNet test,
            std::vector<Piece> pieces, uint64_t seed)
      : param_(param), data_(data), means_(means), test_(std::move(test)), pieces_(std::move(pieces)), seed_(seed) {}

  static absl::StatusOr<std::vector<Piece>> FindPieces(const v1::ParameterLayout& test, const v1::ParameterLayout& job);

  // The net for batches of so many records: the full one's, or that of the last records of the set, which is made when
  // needed.
  absl::StatusOr<Net*> NetFor(uint64_t records);

  const caffe::NetParameter param_;
  const v1::DatasetSpec data_;
  const NetMeans means_;
  FedNet test_;
  std::unique_ptr<Net> rest_;
  const std::vector<Piece> pieces_;
  const uint64_t seed_;
};

}  // namespace samovar
