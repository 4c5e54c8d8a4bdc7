#include "common/data/iteration_schedule.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

IterationSchedule Make(uint64_t records, uint32_t batch_size, uint32_t partitions = 1, uint64_t seed = 1,
                       uint32_t block = 1) {
  auto schedule = IterationSchedule::Create({records, batch_size, partitions, seed, block});
  REQUIRE_OK(schedule);
  return *schedule;
}

std::vector<uint64_t> Records(const IterationSchedule& schedule, uint64_t t) {
  std::vector<uint64_t> positions;
  schedule.RecordsOf(t, &positions);
  return positions;
}

TEST_CASE("every round of a data set without partitions holds each record once, also when batches span rounds") {
  const IterationSchedule schedule = Make(10, 4);
  std::vector<uint64_t> stream;
  for (uint64_t t = 0; t < 15; ++t) {
    const std::vector<uint64_t> records = Records(schedule, t);
    REQUIRE(records.size() == 4);
    stream.insert(stream.end(), records.begin(), records.end());
  }
  std::set<std::vector<uint64_t>> orders;
  for (size_t round = 0; round < 6; ++round) {
    const std::vector<uint64_t> order(stream.begin() + static_cast<ptrdiff_t>(round * 10),
                                      stream.begin() + static_cast<ptrdiff_t>(round * 10 + 10));
    const std::set<uint64_t> distinct(order.begin(), order.end());
    REQUIRE(distinct.size() == 10);
    REQUIRE(*distinct.rbegin() == 9);
    orders.insert(order);
  }
  REQUIRE(orders.size() == 6);  // each round has an order of its own
}

TEST_CASE("with partitions each record appears equally often in every cycle of as many iterations as records") {
  const auto [records, batch, partitions] = GENERATE(table<uint64_t, uint32_t, uint32_t>(
      {{103, 8, 4}, {103, 8, 103}, {60, 7, 6}, {7, 64, 3}, {1, 5, 1}, {64, 1, 5}, {2, 3, 2}}));
  const IterationSchedule schedule = Make(records, batch, partitions);
  std::map<uint64_t, uint64_t> counts;
  for (uint64_t t = 0; t < 3 * records; ++t) {
    for (const uint64_t position : Records(schedule, t)) ++counts[position];
  }
  REQUIRE(counts.size() == records);
  REQUIRE(counts.rbegin()->first == records - 1);
  for (const auto& [position, count] : counts) REQUIRE(count == 3 * batch);
}

TEST_CASE("an iteration reads one partition only, and each partition's stream has no gap") {
  const IterationSchedule schedule = Make(103, 8, 4);
  std::vector<std::vector<uint64_t>> streams(4);
  for (uint64_t t = 0; t < 206; ++t) {
    const uint32_t partition = schedule.PartitionOf(t);
    for (const uint64_t position : Records(schedule, t)) {
      REQUIRE(position >= schedule.PartitionBegin(partition));
      REQUIRE(position < schedule.PartitionBegin(partition) + schedule.PartitionSize(partition));
      streams[partition].push_back(position);
    }
  }
  for (uint32_t partition = 0; partition < 4; ++partition) {
    const std::vector<uint64_t>& stream = streams[partition];
    const size_t size = schedule.PartitionSize(partition);
    REQUIRE(stream.size() == 2 * 8 * size);
    for (size_t begin = 0; begin < stream.size(); begin += size) {
      const std::set<uint64_t> round(stream.begin() + static_cast<ptrdiff_t>(begin),
                                     stream.begin() + static_cast<ptrdiff_t>(begin + size));
      REQUIRE(round.size() == size);
    }
  }
}

TEST_CASE("partitions cover the records without overlap, and differ in size by one at most") {
  const IterationSchedule schedule = Make(103, 8, 4);
  uint64_t begin = 0;
  for (uint32_t partition = 0; partition < 4; ++partition) {
    REQUIRE(schedule.PartitionBegin(partition) == begin);
    REQUIRE((schedule.PartitionSize(partition) == 25 || schedule.PartitionSize(partition) == 26));
    begin += schedule.PartitionSize(partition);
  }
  REQUIRE(begin == 103);
}

TEST_CASE("partitions get their share at any time, to within two iterations") {
  const IterationSchedule schedule = Make(103, 8, 4);
  std::vector<double> counts(4);
  for (uint64_t t = 0; t < 500; ++t) {
    ++counts[schedule.PartitionOf(t)];
    for (uint32_t partition = 0; partition < 4; ++partition) {
      const double share = static_cast<double>((t + 1) * schedule.PartitionSize(partition)) / 103;
      REQUIRE(std::abs(counts[partition] - share) < 2);
    }
  }
}

TEST_CASE("the records of an iteration are fixed forever") {
  // Computed from the definition by a second program. A change of these values changes the result of every job.
  REQUIRE(Records(Make(60'000, 8, 1, 1), 0) ==
          std::vector<uint64_t>{6505, 6582, 43758, 14649, 37501, 53877, 5299, 35702});
  REQUIRE(Records(Make(60'000, 8, 1, 1), 9'999) ==
          std::vector<uint64_t>{29144, 36850, 14562, 55657, 3211, 14375, 9258, 9600});
  REQUIRE(Records(Make(60'000, 8, 16, 7), 12'345) ==
          std::vector<uint64_t>{35535, 34072, 35195, 36247, 34931, 34197, 36090, 36917});
  // Iteration 25 of block 385: that which follows 793 others of partition 1, as without blocks iteration 793 * 16 + 1.
  REQUIRE(Records(Make(60'000, 8, 16, 7, 32), 12'345) == Records(Make(60'000, 8, 16, 7), 12'689));
}

TEST_CASE("seed, round and partition each give another order") {
  REQUIRE(Records(Make(1000, 50, 1, 1), 0) != Records(Make(1000, 50, 1, 2), 0));
  REQUIRE(Records(Make(1000, 50), 0) != Records(Make(1000, 50), 20));
  const IterationSchedule halves = Make(2000, 1000, 2);
  std::vector<uint64_t> first = Records(halves, 0);
  const std::vector<uint64_t> second = Records(halves, 1);
  for (uint64_t& position : first) position += 1000;
  REQUIRE(first != second);
  REQUIRE(std::is_permutation(first.begin(), first.end(), second.begin()));
}

TEST_CASE("a shuffled round leaves few neighbours together") {
  const std::vector<uint64_t> order = Records(Make(10'000, 10'000), 0);
  int neighbours = 0;
  for (size_t i = 1; i < order.size(); ++i) neighbours += order[i] == order[i - 1] + 1;
  REQUIRE(neighbours < 10);  // 1 is expected
}

TEST_CASE("a single record is read over and over") { REQUIRE(Records(Make(1, 5), 3) == std::vector<uint64_t>(5, 0)); }

TEST_CASE("a batch larger than the data set holds each record equally often, to within one") {
  const std::vector<uint64_t> records = Records(Make(3, 64), 5);
  for (uint64_t position = 0; position < 3; ++position) {
    const auto count = std::count(records.begin(), records.end(), position);
    REQUIRE(count >= 20);
    REQUIRE(count <= 22);
  }
}

TEST_CASE("iterations far away are as good as any") {
  for (const uint64_t records : {uint64_t{1}, uint64_t{3}, uint64_t{60'000}, uint64_t{1} << 32}) {
    const auto partitions = static_cast<uint32_t>(std::min<uint64_t>(records, 7));
    for (const uint32_t block : {uint32_t{1}, IterationSchedule::kMaxBlock}) {
      const IterationSchedule schedule = Make(records, 1000, partitions, 1, block);
      for (const uint64_t t : {uint64_t{1} << 40, std::numeric_limits<uint64_t>::max()}) {
        const std::vector<uint64_t> positions = Records(schedule, t);
        REQUIRE(positions.size() == 1000);
        REQUIRE(*std::max_element(positions.begin(), positions.end()) < records);
      }
    }
  }
}

TEST_CASE("in blocks, consecutive iterations read one partition, and go on in its stream where its last block ended") {
  const auto [records, batch, partitions, block] = GENERATE(table<uint64_t, uint32_t, uint32_t, uint32_t>(
      {{103, 8, 4, 5}, {10, 3, 3, 32}, {7, 64, 3, 2}, {64, 1, 5, 7}, {2, 3, 2, 4}, {60, 7, 1, 9}}));
  const IterationSchedule blocks = Make(records, batch, partitions, 1, block);
  // The records that a partition reads do not depend on how its turns are dealt.
  const IterationSchedule single = Make(records, batch, partitions, 1);
  std::vector<std::vector<uint64_t>> streams(partitions), expected(partitions);
  std::map<uint64_t, uint64_t> counts;
  for (uint64_t t = 0; t < records * block; ++t) {
    const uint32_t partition = blocks.PartitionOf(t);
    REQUIRE(partition == t / block % records % partitions);
    for (const uint64_t position : Records(blocks, t)) {
      streams[partition].push_back(position);
      ++counts[position];
    }
    const std::vector<uint64_t> of_single = Records(single, t);
    std::vector<uint64_t>& stream = expected[single.PartitionOf(t)];
    stream.insert(stream.end(), of_single.begin(), of_single.end());
  }
  REQUIRE(streams == expected);
  // A whole cycle: every record as often as any other.
  REQUIRE(counts.size() == records);
  for (const auto& [position, count] : counts) REQUIRE(count == uint64_t{batch} * block);
}

TEST_CASE("partitions get their share of the blocks at any time, to within two") {
  const IterationSchedule schedule = Make(103, 8, 4, 1, 16);
  std::vector<double> counts(4);
  for (uint64_t t = 0; t < 3000; ++t) {
    ++counts[schedule.PartitionOf(t)];
    for (uint32_t partition = 0; partition < 4; ++partition) {
      const double share = static_cast<double>((t + 1) * schedule.PartitionSize(partition)) / 103;
      REQUIRE(std::abs(counts[partition] - share) < 2 * 16);
    }
  }
}

TEST_CASE("options out of range are named") {
  REQUIRE_STATUS(IterationSchedule::Create({0, 8, 1, 1}), absl::StatusCode::kInvalidArgument, "records is 0");
  REQUIRE_STATUS(IterationSchedule::Create({(uint64_t{1} << 32) + 1, 8, 1, 1}), absl::StatusCode::kInvalidArgument,
                 "records");
  REQUIRE_STATUS(IterationSchedule::Create({10, 0, 1, 1}), absl::StatusCode::kInvalidArgument, "batch_size");
  REQUIRE_STATUS(IterationSchedule::Create({10, 8, 0, 1}), absl::StatusCode::kInvalidArgument, "partitions is 0");
  REQUIRE_STATUS(IterationSchedule::Create({10, 8, 11, 1}), absl::StatusCode::kInvalidArgument, "partitions is 11");
  REQUIRE_STATUS(IterationSchedule::Create({10, 8, 1, 1, 0}), absl::StatusCode::kInvalidArgument, "block is 0");
}

}  // namespace
}  // namespace samovar
