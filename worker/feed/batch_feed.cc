#include "worker/feed/batch_feed.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/exceptions.h"
#include "common/base/status_macros.h"

namespace samovar {
namespace {

// A message shows so many digits of a digest: people can tell two digests apart by them.
constexpr size_t kShownDigits = 12;

// Values of a batch; smaller ones are filled before other threads are awake.
constexpr uint64_t kLeastForThreads = uint64_t{1} << 20;

template <typename Dims>
std::string ShapeText(const Dims& dims) {
  return dims.empty() ? "a number" : absl::StrJoin(dims, "x");
}

// `differs`: the number or shape here, and that of the job: "has 3 records here, but had 4".
absl::Status OtherRecords(const RecordReader& reader, absl::string_view differs) {
  return absl::InvalidArgumentError(
      absl::StrCat(reader.source(), ": ", differs,
                   " where the job was submitted; put the same data there on each machine, or submit the job anew"));
}

// The records must be those that the job was submitted with: else iterations would depend on the worker that computes
// them. Records that were appended since are left alone.
absl::Status CheckRecords(const v1::DatasetSpec& spec, RecordReader* reader) {
  const bool fewer = reader->size() < spec.records();
  const bool more = reader->size() > spec.records();
  const auto other_number = [&] {
    return OtherRecords(*reader, absl::StrCat("has ", reader->size(), " records here, but had ", spec.records()));
  };
  if (fewer || (more && spec.digest().empty())) return other_number();
  std::vector<std::string> here, there;
  for (const TopShape& top : reader->tops()) here.push_back(ShapeText(top));
  for (const v1::RecordTop& top : spec.tops()) there.push_back(ShapeText(top.shape()));
  if (here != there) {
    return OtherRecords(*reader, absl::StrCat("its records are ", absl::StrJoin(here, " and "), " here, but were ",
                                              absl::StrJoin(there, " and ")));
  }
  if (spec.digest().empty()) return absl::OkStatus();
  SAMOVAR_ASSIGN_OR_RETURN(const std::string digest, reader->Digest(spec.records()));
  if (digest == spec.digest()) return absl::OkStatus();
  if (more) return other_number();
  return OtherRecords(
      *reader,
      absl::StrCat("has other records of the same number and shape: a sample of them (names, sizes, values "
                   "and labels) has the digest ",
                   digest.substr(0, kShownDigits), "... here, but had ", spec.digest().substr(0, kShownDigits), "..."));
}

absl::StatusOr<IterationSchedule> MakeSchedule(const BatchFeed::Options& options) {
  const uint64_t samples = uint64_t{options.spec.batch_size()} * options.batches;
  constexpr uint64_t kMaxSamples = std::numeric_limits<uint32_t>::max();
  if (options.batches == 0 || samples > kMaxSamples) {
    return absl::InvalidArgumentError(absl::StrCat("an iteration of ", options.batches, " batches of ",
                                                   options.spec.batch_size(), " records has ", samples,
                                                   " records; it must have 1 to ", kMaxSamples));
  }
  IterationSchedule::Options schedule;
  schedule.records = options.spec.records();
  schedule.batch_size = static_cast<uint32_t>(samples);
  // Records that are read in order need no partitions.
  schedule.partitions = options.phase == caffe::TRAIN && !options.spec.in_order() ? options.spec.partitions() : 1;
  schedule.block = std::max<uint32_t>(1, options.spec.block());
  schedule.seed = options.seed;
  return IterationSchedule::Create(schedule);
}

}  // namespace

absl::StatusOr<std::unique_ptr<BatchFeed>> BatchFeed::Create(Options options) {
  const std::string context = absl::StrCat("data layer \"", options.spec.layer(), "\"");
  if (options.reader == nullptr) return absl::InvalidArgumentError(absl::StrCat(context, ": has no records to read"));
  SAMOVAR_RETURN_IF_ERROR(Annotate(CheckRecords(options.spec, options.reader.get()), context));
  auto schedule = MakeSchedule(options);
  if (!schedule.ok()) return Annotate(schedule.status(), context);
  return std::unique_ptr<BatchFeed>(new BatchFeed(std::move(options), *std::move(schedule)));
}

BatchFeed::BatchFeed(Options options, IterationSchedule schedule)
    : options_(std::move(options)), schedule_(std::move(schedule)) {
  CountElements();
  AddReaders();
}

void BatchFeed::AddReaders() {
  readers_ = {options_.reader.get()};
  // Its batches are single records.
  const int threads = adapts() ? 1 : options_.threads;
  while (readers_.size() < static_cast<size_t>(threads)) {
    std::unique_ptr<RecordReader> another = options_.reader->Another();
    if (another == nullptr) break;
    readers_.push_back(another.get());
    others_.push_back(std::move(another));
  }
  records_.resize(readers_.size());
  if (readers_.size() > 1) pool_ = std::make_unique<ThreadPool>(static_cast<int>(readers_.size()));
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

absl::Status BatchFeed::AdaptToIteration(uint64_t t, uint32_t batch) {
  if (batch >= options_.batches)
    return absl::InvalidArgumentError(
        absl::StrCat("an iteration has ", options_.batches, " batches; there is no batch ", batch));
  ListRecords(t);
  return AdaptToRecord(positions_[batch]);
}

void BatchFeed::ListRecords(uint64_t t) {
  if (listed_ == t) return;
  listed_ = t;
  if (!options_.spec.in_order()) return schedule_.RecordsOf(t, &positions_);
  const uint64_t samples = schedule_.options().batch_size;
  positions_.resize(samples);
  for (uint64_t i = 0; i < samples; ++i) positions_[i] = (t % records() * samples + i) % records();
}

absl::Status BatchFeed::FillIteration(uint64_t t, uint32_t batch, std::span<const std::span<float>> tops) {
  if (options_.phase != caffe::TRAIN)
    return absl::FailedPreconditionError("a feed of phase TEST has no iterations; fill ranges");
  if (batch >= options_.batches)
    return absl::InvalidArgumentError(
        absl::StrCat("an iteration has ", options_.batches, " batches; there is no batch ", batch));
  ListRecords(t);
  const uint64_t first = uint64_t{batch} * batch_size();
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

bool BatchFeed::WorthThreads(uint64_t samples) const {
  return pool_ != nullptr && samples > 1 && samples * elements_[0] >= kLeastForThreads;
}

absl::Status BatchFeed::ReadSample(size_t reader, uint64_t position, const Draw& draw, size_t sample,
                                   std::span<const std::span<float>> tops) {
  std::vector<float*>& record = records_[reader];
  record.resize(tops.size());
  for (size_t i = 0; i < tops.size(); ++i) record[i] = tops[i].data() + sample * elements_[i];
  return readers_[reader]->Read(position, draw, record);
}

absl::Status BatchFeed::Fill(std::span<const uint64_t> positions, uint64_t iteration, uint64_t first_sample,
                             std::span<const std::span<float>> tops) {
  SAMOVAR_RETURN_IF_ERROR(CheckTops(positions.size(), tops));
  const auto read = [&](size_t sample, size_t reader) {
    const Draw draw = {options_.seed, iteration, first_sample + sample};
    return ReadSample(reader, positions[sample], draw, sample, tops);
  };
  if (!WorthThreads(positions.size())) {
    for (size_t sample = 0; sample < positions.size(); ++sample) SAMOVAR_RETURN_IF_ERROR(read(sample, 0));
    return absl::OkStatus();
  }
  return FillWithThreads(positions.size(), read);
}

absl::Status BatchFeed::FillWithThreads(size_t samples,
                                        absl::FunctionRef<absl::Status(size_t sample, size_t reader)> read) {
  statuses_.assign(samples, absl::OkStatus());
  // The first sample that is known to be bad: those behind it are not read, those before it are, so that the error is
  // the one that a single thread finds.
  std::atomic<size_t> first_bad = samples;
  pool_->ParallelFor(static_cast<int64_t>(samples), [&](int64_t piece, int thread) {
    const auto sample = static_cast<size_t>(piece);
    size_t bad = first_bad.load(std::memory_order_relaxed);
    if (sample > bad) return;
    statuses_[sample] = CatchExceptions([&] { return read(sample, static_cast<size_t>(thread)); });
    if (statuses_[sample].ok()) return;
    while (sample < bad && !first_bad.compare_exchange_weak(bad, sample, std::memory_order_relaxed)) {
    }
  });
  const size_t bad = first_bad.load(std::memory_order_relaxed);
  return bad < samples ? statuses_[bad] : absl::OkStatus();
}

}  // namespace samovar
