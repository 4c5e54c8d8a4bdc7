#include "worker/feed/batch_feed.h"

#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace samovar {
namespace {

// The data set must be what the job was submitted with: else iterations would depend on who computes them.
absl::Status CheckDataset(const Dataset& dataset, const v1::DatasetSpec& spec) {
  if (dataset.size() != spec.records()) {
    return absl::FailedPreconditionError(absl::StrCat(dataset.path(), ": has ", dataset.size(),
                                                      " records here, but had ", spec.records(),
                                                      " where the job was submitted"));
  }
  const RecordShape expected = {spec.channels(), spec.height(), spec.width()};
  if (dataset.shape() != expected) {
    return absl::FailedPreconditionError(absl::StrCat(dataset.path(), ": its records are ", ToString(dataset.shape()),
                                                      " here, but were ", ToString(expected),
                                                      " where the job was submitted"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<BatchFeed>> BatchFeed::Create(Options options) {
  const std::string context = absl::StrCat("data layer \"", options.data_layer.name(), "\"");
  if (options.dataset == nullptr) return absl::InvalidArgumentError(absl::StrCat(context, ": has no data set"));
  const Dataset& dataset = *options.dataset;
  if (const absl::Status status = CheckDataset(dataset, options.spec); !status.ok()) return Annotate(status, context);
  auto transformer = Transformer::Create(options.data_layer.transform_param(), options.phase, dataset.shape());
  if (!transformer.ok()) return Annotate(transformer.status(), context);
  IterationSchedule::Options schedule_options;
  schedule_options.records = dataset.size();
  schedule_options.batch_size = options.spec.batch_size();
  // A test set is read in order, without partitions.
  schedule_options.partitions = options.phase == caffe::TRAIN ? options.spec.partitions() : 1;
  schedule_options.seed = options.seed;
  auto schedule = IterationSchedule::Create(schedule_options);
  if (!schedule.ok()) return Annotate(schedule.status(), context);
  return std::unique_ptr<BatchFeed>(
      new BatchFeed(std::move(options), *std::move(transformer), *std::move(schedule)));
}

absl::Status BatchFeed::FillIteration(uint64_t t, std::span<float> data, std::span<float> labels) {
  if (options_.phase != caffe::TRAIN)
    return absl::FailedPreconditionError("a feed of phase TEST has no iterations; fill ranges");
  schedule_.RecordsOf(t, &positions_);
  return Fill(t, data, labels);
}

absl::Status BatchFeed::FillRange(uint64_t begin, uint64_t end, std::span<float> data, std::span<float> labels) {
  if (options_.phase != caffe::TEST)
    return absl::FailedPreconditionError("a feed of phase TRAIN shuffles; fill iterations");
  if (begin > end || end > options_.dataset->size()) {
    return absl::OutOfRangeError(absl::StrCat(options_.dataset->path(), ": no records ", begin, " to ", end,
                                              " (exclusive); it has ", options_.dataset->size()));
  }
  positions_.resize(end - begin);
  std::iota(positions_.begin(), positions_.end(), begin);
  return Fill(/*iteration=*/0, data, labels);
}

absl::Status BatchFeed::Fill(uint64_t iteration, std::span<float> data, std::span<float> labels) {
  const size_t elements = shape().elements();
  const size_t samples = positions_.size();
  if (data.size() != samples * elements) {
    return absl::InvalidArgumentError(absl::StrCat("room for ", data.size(), " values, but ", samples,
                                                   " samples of shape ", ToString(shape()), " need ",
                                                   samples * elements));
  }
  if (!labels.empty() && labels.size() != samples) {
    return absl::InvalidArgumentError(absl::StrCat("room for ", labels.size(), " labels, but ", samples, " samples"));
  }
  for (size_t i = 0; i < samples; ++i) {
    SAMOVAR_RETURN_IF_ERROR(options_.dataset->Read(positions_[i], &datum_));
    SAMOVAR_RETURN_IF_ERROR(
        transformer_.Apply(datum_, options_.seed, iteration, i, data.data() + i * elements));
    if (!labels.empty()) labels[i] = static_cast<float>(datum_.label());
  }
  return absl::OkStatus();
}

}  // namespace samovar
