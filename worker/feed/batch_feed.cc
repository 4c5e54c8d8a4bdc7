#include "worker/feed/batch_feed.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"

namespace samovar {
namespace {

template <typename Dims>
std::string ShapeText(const Dims& dims) {
  return dims.empty() ? "a number" : absl::StrJoin(dims, "x");
}

// The records must be those that the job was submitted with: else iterations would depend on who computes them.
absl::Status CheckRecords(const RecordReader& reader, const v1::DatasetSpec& spec) {
  if (reader.size() != spec.records()) {
    return absl::FailedPreconditionError(absl::StrCat(reader.source(), ": has ", reader.size(),
                                                      " records here, but had ", spec.records(),
                                                      " where the job was submitted"));
  }
  std::vector<std::string> here, there;
  for (const TopShape& top : reader.tops()) here.push_back(ShapeText(top));
  for (const v1::RecordTop& top : spec.tops()) there.push_back(ShapeText(top.shape()));
  if (here != there) {
    return absl::FailedPreconditionError(absl::StrCat(reader.source(), ": its records are ",
                                                      absl::StrJoin(here, " and "), " here, but were ",
                                                      absl::StrJoin(there, " and "), " where the job was submitted"));
  }
  return absl::OkStatus();
}

absl::StatusOr<IterationSchedule> MakeSchedule(const BatchFeed::Options& options) {
  const uint64_t samples = uint64_t{options.spec.batch_size()} * options.parts;
  if (options.parts == 0 || samples > std::numeric_limits<uint32_t>::max()) {
    return absl::InvalidArgumentError(absl::StrCat("an iteration of ", options.parts, " batches of ",
                                                   options.spec.batch_size(), " records cannot be"));
  }
  IterationSchedule::Options schedule;
  schedule.records = options.reader->size();
  schedule.batch_size = static_cast<uint32_t>(samples);
  // What is read in order is so without partitions.
  schedule.partitions = options.phase == caffe::TRAIN && !options.spec.in_order() ? options.spec.partitions() : 1;
  schedule.block = std::max<uint32_t>(1, options.spec.block());
  schedule.seed = options.seed;
  return IterationSchedule::Create(schedule);
}

}  // namespace

absl::StatusOr<std::unique_ptr<BatchFeed>> BatchFeed::Create(Options options) {
  const std::string context = absl::StrCat("data layer \"", options.spec.layer(), "\"");
  if (options.reader == nullptr) return absl::InvalidArgumentError(absl::StrCat(context, ": has no records to read"));
  SAMOVAR_RETURN_IF_ERROR(Annotate(CheckRecords(*options.reader, options.spec), context));
  auto schedule = MakeSchedule(options);
  if (!schedule.ok()) return Annotate(schedule.status(), context);
  return std::unique_ptr<BatchFeed>(new BatchFeed(std::move(options), *std::move(schedule)));
}

BatchFeed::BatchFeed(Options options, IterationSchedule schedule)
    : options_(std::move(options)), schedule_(std::move(schedule)) {
  CountElements();
}

void BatchFeed::CountElements() {
  elements_.clear();
  for (const TopShape& top : tops()) elements_.push_back(ElementsOf(top));
}

absl::Status BatchFeed::AdaptToRecord(uint64_t position) {
  SAMOVAR_RETURN_IF_ERROR(options_.reader->Adapt(position % records()));
  CountElements();
  return absl::OkStatus();
}

absl::Status BatchFeed::AdaptToIteration(uint64_t t, uint32_t part) {
  if (part >= options_.parts)
    return absl::InvalidArgumentError(
        absl::StrCat("an iteration has ", options_.parts, " parts; there is no part ", part));
  ListRecords(t);
  return AdaptToRecord(positions_[part]);
}

void BatchFeed::ListRecords(uint64_t t) {
  if (listed_ == t) return;
  listed_ = t;
  if (!options_.spec.in_order()) return schedule_.RecordsOf(t, &positions_);
  const uint64_t samples = schedule_.options().batch_size;
  positions_.resize(samples);
  for (uint64_t i = 0; i < samples; ++i) positions_[i] = (t % records() * samples + i) % records();
}

absl::Status BatchFeed::FillIteration(uint64_t t, uint32_t part, std::span<const std::span<float>> tops) {
  if (options_.phase != caffe::TRAIN)
    return absl::FailedPreconditionError("a feed of phase TEST has no iterations; fill ranges");
  if (part >= options_.parts)
    return absl::InvalidArgumentError(
        absl::StrCat("an iteration has ", options_.parts, " parts; there is no part ", part));
  ListRecords(t);
  const uint64_t first = uint64_t{part} * batch_size();
  return Fill(std::span(positions_).subspan(first, batch_size()), t, first, tops);
}

absl::Status BatchFeed::FillRange(uint64_t begin, uint64_t end, std::span<const std::span<float>> tops) {
  if (options_.phase != caffe::TEST)
    return absl::FailedPreconditionError("a feed of phase TRAIN shuffles; fill iterations");
  if (begin > end) {
    return absl::OutOfRangeError(
        absl::StrCat(options_.reader->source(), ": no records ", begin, " to ", end, " (exclusive)"));
  }
  positions_.resize(end - begin);
  for (uint64_t i = 0; i < positions_.size(); ++i) positions_[i] = (begin % records() + i) % records();
  return Fill(positions_, /*iteration=*/0, /*first_sample=*/0, tops);
}

absl::Status BatchFeed::CheckTops(uint64_t samples, std::span<const std::span<float>> tops) const {
  if (tops.size() != elements_.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("room for ", tops.size(), " tops, but records have ", elements_.size()));
  }
  for (size_t i = 0; i < tops.size(); ++i) {
    if (tops[i].size() == samples * elements_[i]) continue;
    return absl::InvalidArgumentError(absl::StrCat("top ", i, " has room for ", tops[i].size(), " values, but ",
                                                   samples, " samples of ", elements_[i], " need ",
                                                   samples * elements_[i]));
  }
  return absl::OkStatus();
}

absl::Status BatchFeed::Fill(std::span<const uint64_t> positions, uint64_t iteration, uint64_t first_sample,
                             std::span<const std::span<float>> tops) {
  SAMOVAR_RETURN_IF_ERROR(CheckTops(positions.size(), tops));
  record_.resize(tops.size());
  for (size_t sample = 0; sample < positions.size(); ++sample) {
    for (size_t i = 0; i < tops.size(); ++i) record_[i] = tops[i].data() + sample * elements_[i];
    const Draw draw = {options_.seed, iteration, first_sample + sample};
    SAMOVAR_RETURN_IF_ERROR(options_.reader->Read(positions[sample], draw, record_));
  }
  return absl::OkStatus();
}

}  // namespace samovar
