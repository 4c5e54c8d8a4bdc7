#include "common/data/iteration_schedule.h"

#include "absl/strings/str_cat.h"
#include "common/base/random.h"

namespace samovar {
namespace {

// With this bound no product below exceeds 64 bits, except numbers of rounds past 2^64, which wrap.
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
  if (options.block < 1 || options.block > kMaxBlock)
    return absl::InvalidArgumentError(absl::StrCat("block is ", options.block, "; it must be 1 to ", kMaxBlock));
  return IterationSchedule(options);
}

uint32_t IterationSchedule::PartitionOf(uint64_t t) const {
  // Partitions take turns. The last turn of a cycle of `records` blocks is short, and falls to the partitions that
  // have one record more: the first ones.
  return static_cast<uint32_t>(t / options_.block % options_.records % options_.partitions);
}

void IterationSchedule::RecordsOf(uint64_t t, std::vector<uint64_t>* positions) const {
  const uint32_t partition = PartitionOf(t);
  const uint64_t size = PartitionSize(partition);
  const uint64_t batch = options_.batch_size;
  const uint64_t block = t / options_.block;
  // A partition of n records has n blocks in a cycle, so that each cycle consumes block * batch_size whole rounds of
  // it, and each n of its iterations batch_size whole ones.
  const uint64_t in_cycle = block % options_.records / options_.partitions * options_.block + t % options_.block;
  const uint64_t after_whole = in_cycle % size * batch;
  uint64_t round = (block / options_.records * options_.block + in_cycle / size) * batch + after_whole / size;
  uint64_t offset = after_whole % size;

  const uint64_t begin = PartitionBegin(partition);
  positions->clear();
  positions->reserve(batch);
  while (positions->size() < batch) {
    const Permutation permutation(size, DeriveKey(RandomStream::kShuffle, {options_.seed, round, partition}));
    for (; offset < size && positions->size() < batch; ++offset) positions->push_back(begin + permutation(offset));
    offset = 0;
    ++round;
  }
}

}  // namespace samovar
