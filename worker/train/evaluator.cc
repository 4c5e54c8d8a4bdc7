#include "worker/train/evaluator.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/model/job_data.h"
#include "common/model/layout.h"
#include "common/model/test_plan.h"

namespace samovar {

namespace {}  // namespace

absl::StatusOr<std::unique_ptr<Evaluator>> Evaluator::Create(const v1::JobSpec& spec, uint32_t number,
                                                             const NetMeans& means) {
  const int index = static_cast<int>(number);
  if (number >=
      static_cast<uint32_t>(std::min({spec.test_nets_size(), spec.test_data_size(), spec.test_outputs_size()}))) {
    return absl::InvalidArgumentError(absl::StrCat("the job has no test net ", number));
  }
  auto test = OpenFedNet(spec.test_nets(index), caffe::TEST, spec.test_data(index), spec.test_outputs(index),
                         spec.seed(), means);
  if (!test.ok()) return Annotate(test.status(), absl::StrCat("test net ", number));
  SAMOVAR_RETURN_IF_ERROR(
      Annotate(CheckNetFiles(spec.test_nets(index), spec, means.storage), absl::StrCat("test net ", number)));
  auto pieces = FindPieces(test->net->layout(), spec.layout());
  if (!pieces.ok()) return Annotate(pieces.status(), absl::StrCat("test net ", number));
  return std::unique_ptr<Evaluator>(new Evaluator(spec.test_nets(index), spec.test_data(index), means, *std::move(test),
                                                  *std::move(pieces), spec.seed()));
}

absl::StatusOr<std::vector<Evaluator::Piece>> Evaluator::FindPieces(const v1::ParameterLayout& test,
                                                                    const v1::ParameterLayout& job) {
  std::vector<Piece> pieces;
  for (const v1::ParameterBlob& blob : test.blobs()) {
    const auto trained =
        std::find_if(job.blobs().begin(), job.blobs().end(), [&blob](const v1::ParameterBlob& candidate) {
          return candidate.layer() == blob.layer() && candidate.index() == blob.index();
        });
    if (trained == job.blobs().end() || BlobElements(*trained) != BlobElements(blob)) {
      return absl::InvalidArgumentError(absl::StrCat("layer \"", blob.layer(),
                                                     "\": the trained net has no parameters of this name ",
                                                     "and size; use the same name and settings in both phases"));
    }
    pieces.push_back({trained->offset(), blob.offset(), BlobElements(blob)});
  }
  return pieces;
}

void Evaluator::SetWeights(std::span<const float> weights) {
  rest_ = nullptr;
  const std::span<float> own = test_.net->weights();
  for (const Piece& piece : pieces_) {
    std::copy_n(weights.data() + piece.from, piece.count, own.data() + piece.to);
  }
}

absl::StatusOr<Net*> Evaluator::NetFor(uint64_t records) {
  if (records == static_cast<uint64_t>(test_.net->batch_size())) return test_.net.get();
  if (rest_ == nullptr || records != static_cast<uint64_t>(rest_->batch_size())) {
    SAMOVAR_ASSIGN_OR_RETURN(rest_, NetForBatch(param_, caffe::TEST, data_, static_cast<int>(records), means_));
    std::copy(test_.net->weights().begin(), test_.net->weights().end(), rest_->weights().begin());
  }
  return rest_.get();
}

absl::StatusOr<std::vector<double>> Evaluator::Sums(uint64_t begin, uint64_t end, uint64_t iteration,
                                                    const Stopper& ended) {
  if (test_.feed != nullptr && end - begin > WholeTest(data_)) {
    return absl::OutOfRangeError(
        absl::StrCat("the lease has ", end - begin, " records, but the test set has ", data_.records(), " records"));
  }
  std::vector<double> sums(test_.net->outputs().size(), 0);
  while (begin < end) {
    if (ended.stopped()) return absl::CancelledError("the lease has ended");
    const uint64_t records = std::min(end - begin, static_cast<uint64_t>(test_.net->batch_size()));
    SAMOVAR_ASSIGN_OR_RETURN(Net* const net, NetFor(records));
    if (test_.feed != nullptr && test_.feed->adapts()) {
      const absl::StatusOr<ShapesByLayer> shapes = test_.feed->AdaptToRecord(begin);
      SAMOVAR_RETURN_IF_ERROR(FinalIfUnreadable(shapes.status()));
      SAMOVAR_RETURN_IF_ERROR(FitNet(*shapes, net));
    }
    if (test_.feed != nullptr) {
      SAMOVAR_RETURN_IF_ERROR(FinalIfUnreadable(test_.feed->FillRange(begin, begin + records, TopsOf(*net, data_))));
    }
    SAMOVAR_RETURN_IF_ERROR(net->Forward(iteration, seed_, /*first_record=*/begin));
    net->AddOutputs(test_.net->output_specs(), static_cast<double>(records), &sums);
    begin += records;
  }
  return sums;
}

}  // namespace samovar
