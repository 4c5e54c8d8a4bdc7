#include "common/data/iteration_schedule.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"

namespace samovar {
namespace {

// With this bound no product below exceeds 64 bits, except numbers of epochs past 2^64, which wrap.
constexpr uint64_t kMaxRecords = uint64_t{1} << 32;

}  // namespace

absl::StatusOr<IterationSchedule> IterationSchedule::Create(const Options& options) {
  if (options.records < 1 || options.records > kMaxRecords)
    return absl::InvalidArgumentError(absl::StrCat("records is ", options.records, "; it must be 1 to ", kMaxRecords));
  if (options.batch_size < 1) return absl::InvalidArgumentError("batch_size is 0; it must be at least 1");
  if (options.partitions < 1 || options.partitions > options.records) {
    return absl::InvalidArgumentError(absl::StrCat("partitions is ", options.partitions,
                                                   "; it must be 1 to the number of records, ", options.records));
  }
  return IterationSchedule(options);
}

uint64_t IterationSchedule::PartitionSize(uint32_t partition) const {
  return options_.records / options_.partitions + (partition < options_.records % options_.partitions ? 1 : 0);
}

uint64_t IterationSchedule::PartitionBegin(uint32_t partition) const {
  return options_.records / options_.partitions * partition +
         std::min<uint64_t>(partition, options_.records % options_.partitions);
}

uint32_t IterationSchedule::PartitionOf(uint64_t t) const {
  // Partitions take turns. The last turn of a cycle of `records` iterations is short, and falls to the partitions that
  // have one record more: the first ones.
  return static_cast<uint32_t>(t % options_.records % options_.partitions);
}

void IterationSchedule::RecordsOf(uint64_t t, std::vector<uint64_t>* positions) const {
  const uint32_t partition = PartitionOf(t);
  const uint64_t size = PartitionSize(partition);
  const uint64_t batch = options_.batch_size;
  // With n records in the partition, iteration t is its ((t / records) * n + r)th; each n of its iterations consume
  // batch_size whole epochs. So it begins at record r * batch_size after epoch (t / records) * batch_size.
  const uint64_t turns_in_cycle = t % options_.records / options_.partitions;
  uint64_t epoch = t / options_.records * batch + turns_in_cycle * batch / size;
  uint64_t offset = turns_in_cycle * batch % size;

  const uint64_t begin = PartitionBegin(partition);
  positions->clear();
  positions->reserve(batch);
  while (positions->size() < batch) {
    const Permutation permutation(size, DeriveKey(RandomStream::kShuffle, {options_.seed, epoch, partition}));
    for (; offset < size && positions->size() < batch; ++offset) positions->push_back(begin + permutation(offset));
    offset = 0;
    ++epoch;
  }
}

}  // namespace samovar
