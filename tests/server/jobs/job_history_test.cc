#include "server/jobs/job_history.h"

#include <chrono>
#include <cmath>
#include <filesystem>
#include <functional>
#include <iostream>
#include <limits>
#include <memory>

#include "server/jobs/lmdb_job_table.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

v1::JobSpec SpecOf(int outputs) {
  v1::JobSpec spec;
  spec.set_job_id("job");
  spec.mutable_solver()->set_base_lr(0.5f);
  spec.mutable_solver()->set_lr_policy("fixed");
  for (int i = 0; i < outputs; ++i) spec.mutable_train_outputs()->add_outputs()->set_name("out");
  return spec;
}

// A loss that no pattern of neighbours favours.
float NoisyLoss(uint64_t iteration) {
  const uint64_t mixed = (iteration + 1) * 0x9e3779b97f4a7c15u;
  return static_cast<float>(mixed >> 40) / static_cast<float>(1 << 24) + 1;
}

void Train(JobHistory* history, uint64_t begin, uint64_t end, const std::function<float(uint64_t)>& loss) {
  for (uint64_t t = begin; t < end; ++t) {
    history->Add(t, loss(t), std::vector<float>{static_cast<float>(t)});
    if (t % 7 == 0 || t + 1 == end) history->Advance(t + 1, static_cast<double>(t));
  }
}

// Of whole blocks, whose iterations ascend from one to the next.
std::vector<uint64_t> IterationsOf(const std::vector<v1::HistoryBlock>& blocks) {
  std::vector<uint64_t> iterations;
  for (const v1::HistoryBlock& block : blocks) {
    CHECK(IsWhole(block));
    CHECK(block.iterations_size() <= JobHistory::kBlockPoints);
    if (!iterations.empty() && !block.iterations().empty()) CHECK(block.iterations(0) > iterations.back());
    iterations.insert(iterations.end(), block.iterations().begin(), block.iterations().end());
  }
  return iterations;
}

std::vector<float> LossesOf(const std::vector<v1::HistoryBlock>& blocks) {
  std::vector<float> losses;
  for (const v1::HistoryBlock& block : blocks)
    losses.insert(losses.end(), block.losses().begin(), block.losses().end());
  return losses;
}

std::vector<uint64_t> Range(uint64_t begin, uint64_t end) {
  std::vector<uint64_t> range;
  for (uint64_t t = begin; t < end; ++t) range.push_back(t);
  return range;
}

uint64_t Bound(double iterations) {
  return static_cast<uint64_t>(11'000 * (1 + std::floor(std::log(1 + 3 * iterations / 10'000) / std::log(4.0))));
}

TEST_CASE("a curve has each iteration once, in order, however results come, also of a solver without display") {
  const v1::JobSpec spec = SpecOf(1);
  JobHistory history(&spec);
  history.Begin(0);
  for (uint64_t t = 100; t-- > 50;) history.Add(t, static_cast<float>(t), std::vector<float>{-static_cast<float>(t)});
  history.Advance(0, 1);
  CHECK(history.Blocks().empty());
  for (uint64_t t = 0; t < 50; ++t) {
    // One that was skipped has no result.
    if (t != 20) history.Add(t, static_cast<float>(t), std::vector<float>{-static_cast<float>(t)});
  }
  history.Advance(100, 2);
  // They are computed again after a loss.
  for (uint64_t t = 60; t < 120; ++t) history.Add(t, 1000, std::vector<float>{0});
  history.Add(110, 2000, std::vector<float>{0});
  history.Advance(120, 3);
  std::vector<uint64_t> expected = Range(0, 120);
  expected.erase(expected.begin() + 20);
  const std::vector<v1::HistoryBlock> blocks = history.Blocks();
  CHECK(IterationsOf(blocks) == expected);
  REQUIRE(blocks.size() == 1);
  CHECK(blocks[0].losses(0) == 0);
  CHECK(blocks[0].losses(98) == 99);
  CHECK(blocks[0].outputs(98) == -99);
  CHECK(blocks[0].losses(99) == 1000);
  CHECK(blocks[0].losses(109) == 1000);
  CHECK(blocks[0].seconds(98) == 2);
  CHECK(blocks[0].seconds(99) == 3);
  CHECK(blocks[0].learning_rates(0) == 0.5f);
}

TEST_CASE("points have the staleness of their updates, and those of a version that did not note it have none") {
  const v1::JobSpec spec = SpecOf(0);
  HistoryBlocks before;
  {
    JobHistory history(&spec);
    history.Begin(0);
    history.Add(0, 1, {}, 2.5f);
    history.Advance(1, 1);
    before = history.TakeChanges().written;
  }
  REQUIRE(before.begin()->second.staleness(0) == 2.5f);
  before.begin()->second.clear_staleness();
  JobHistory history(&spec);
  history.Restore(before);
  history.Begin(1);
  history.Add(1, 1, {}, 4);
  history.Advance(2, 2);
  const std::vector<v1::HistoryBlock> blocks = history.Blocks();
  REQUIRE(blocks.size() == 1);
  CHECK(IsWhole(blocks[0]));
  CHECK(blocks[0].staleness(0) == -1);
  CHECK(blocks[0].staleness(1) == 4);
}

TEST_CASE("outputs of a net with many values are not kept, the loss is") {
  const v1::JobSpec many = SpecOf(JobHistory::kMaxOutputs + 1), few = SpecOf(JobHistory::kMaxOutputs);
  for (const v1::JobSpec* const spec : {&many, &few}) {
    JobHistory history(spec);
    history.Begin(0);
    history.Add(0, 3, std::vector<float>(static_cast<size_t>(spec->train_outputs().outputs_size()), 1.0f));
    history.Advance(1, 1);
    CHECK(history.Blocks().at(0).losses(0) == 3);
    CHECK(history.Blocks().at(0).outputs_size() == (spec == &few ? JobHistory::kMaxOutputs : 0));
  }
}

TEST_CASE("older points are thinned, and the lowest and the highest loss of all stay, and so does the newest stretch") {
  const v1::JobSpec spec = SpecOf(1);
  // The extremes lie where points are thinned most often, in the middle, and near the end of what is thinned.
  for (const uint64_t place : {3u, 4004u, 40'005u, 88'006u}) {
    JobHistory history(&spec);
    history.Begin(0);
    Train(&history, 0, 100'000, [&](uint64_t t) { return t == place ? -5 : t == place + 1 ? 50 : NoisyLoss(t); });
    const std::vector<v1::HistoryBlock> blocks = history.Blocks();
    const std::vector<float> losses = LossesOf(blocks);
    CHECK(*std::min_element(losses.begin(), losses.end()) == -5);
    CHECK(*std::max_element(losses.begin(), losses.end()) == 50);
    const std::vector<uint64_t> iterations = IterationsOf(blocks);
    CHECK(iterations.size() <= Bound(100'000));
    CHECK(std::vector<uint64_t>(iterations.end() - 10'000, iterations.end()) == Range(90'000, 100'000));
    // Of each group of neighbours in the first level that thins, two stay: no gap is longer than two such groups.
    for (size_t i = 1; i < iterations.size(); ++i) CHECK(iterations[i] - iterations[i - 1] <= 2 * 8 * 4 * 4);
  }
}

TEST_CASE("a loss that is NaN counts as the highest and stays, and equal losses are thinned to two points of eight") {
  v1::HistoryBlock block, thinned;
  for (int i = 0; i < 16; ++i) {
    block.add_iterations(static_cast<uint64_t>(i));
    block.add_seconds(i);
    block.add_losses(i == 3 ? kNan : i == 5 ? 0.5f : i == 6 ? std::numeric_limits<float>::infinity() : 1);
    block.add_learning_rates(1);
  }
  AppendExtremes(block, 0, 8, &thinned);
  AppendExtremes(block, 8, 16, &thinned);
  CHECK(IterationsOf({thinned}) == std::vector<uint64_t>{3, 5, 8, 15});
  thinned.Clear();
  AppendExtremes(block, 8, 9, &thinned);
  CHECK(IterationsOf({thinned}) == std::vector<uint64_t>{8});
}

TEST_CASE("a curve of a million iterations has no more points than the bound says") {
  const v1::JobSpec spec = SpecOf(1);
  JobHistory history(&spec);
  history.Begin(0);
  uint64_t done = 0;
  for (const uint64_t end : {1000u, 10'000u, 10'999u, 11'000u, 54'999u, 55'000u, 200'000u, 1'000'000u}) {
    Train(&history, done, end, NoisyLoss);
    done = end;
    const size_t points = IterationsOf(history.Blocks()).size();
    CHECK(points <= Bound(static_cast<double>(end)));
    if (end < 11'000) CHECK(points == end);
  }
}

TEST_CASE("the points that are asked for are extremes of equal stretches, from an iteration on") {
  const v1::JobSpec spec = SpecOf(1);
  JobHistory history(&spec);
  history.Begin(0);
  Train(&history, 0, 30'000, [](uint64_t t) { return t == 12'345 ? -5 : t == 20'001 ? kNan : NoisyLoss(t); });
  const std::vector<v1::HistoryBlock> blocks = history.Blocks();
  CHECK(IterationsOf(SelectPoints(blocks, 0, 0)) == IterationsOf(blocks));
  CHECK(IterationsOf(SelectPoints(blocks, 29'000, 0)) == Range(29'000, 30'000));
  CHECK(IterationsOf(SelectPoints(blocks, 29'000, 1000)) == Range(29'000, 30'000));
  CHECK(SelectPoints(blocks, 30'000, 0).empty());
  for (const uint32_t points : {2u, 3u, 100u, 999u, 2000u}) {
    const std::vector<v1::HistoryBlock> selected = SelectPoints(blocks, 500, points);
    const std::vector<uint64_t> iterations = IterationsOf(selected);
    CHECK(iterations.size() <= points);
    CHECK(iterations.size() >= points / 2);
    CHECK(iterations.front() >= 500);
    CHECK(std::count(iterations.begin(), iterations.end(), 12'345u) == 1);
    CHECK(std::count(iterations.begin(), iterations.end(), 20'001u) == 1);
  }
  CHECK(IterationsOf(SelectPoints(blocks, 0, 1)) == std::vector<uint64_t>{12'345});
  CHECK(SelectPoints({}, 0, 5).empty());
}

// A table's record of a curve, as JobTable keeps it.
struct Stored {
  HistoryBlocks blocks;

  // Returns the keys that were written. `cuts`: the block where a resumed job begins may have been full.
  std::vector<HistoryKey> Take(JobHistory* history, bool cuts = false) {
    JobHistory::Changes changes = history->TakeChanges();
    std::vector<HistoryKey> written;
    for (const HistoryKey& key : changes.removed) {
      CHECK(blocks.contains(key));
      blocks.erase(key);
    }
    for (auto& [key, block] : changes.written) {
      // A full block is never written again.
      if (blocks.contains(key) && !cuts) CHECK(blocks[key].iterations_size() < JobHistory::kBlockPoints - 1);
      written.push_back(key);
      blocks[key] = std::move(block);
    }
    history->Stored(changes.version);
    return written;
  }
};

TEST_CASE("only blocks that have changed are stored, and what is stored is the curve") {
  const v1::JobSpec spec = SpecOf(1);
  JobHistory history(&spec);
  history.Begin(0);
  Stored stored;
  CHECK_FALSE(history.changed());
  for (uint64_t t = 0; t < 90'000; t += 300) {
    Train(&history, t, t + 300, NoisyLoss);
    CHECK(history.changed());
    CHECK(stored.Take(&history).size() <= 4);
    CHECK_FALSE(history.changed());
    CHECK(stored.Take(&history).empty());
  }
  CHECK(LossesOf(InOrder(stored.blocks, 1)) == LossesOf(history.Blocks()));
  CHECK(stored.blocks.size() == history.Blocks().size());
}

TEST_CASE("changes that could not be stored come again, with those since") {
  const v1::JobSpec spec = SpecOf(1);
  JobHistory history(&spec);
  history.Begin(0);
  Stored stored;
  Train(&history, 0, 10'500, NoisyLoss);
  stored.Take(&history);
  Train(&history, 10'500, 12'500, NoisyLoss);
  // Given out, and lost: a block that nobody has is to be removed later, which harms nothing.
  CHECK(history.TakeChanges().removed.size() == 2);
  Train(&history, 12'500, 13'500, NoisyLoss);
  stored.Take(&history);
  CHECK(LossesOf(InOrder(stored.blocks, 1)) == LossesOf(history.Blocks()));
  CHECK(stored.blocks.size() == history.Blocks().size());
}

TEST_CASE("a curve goes on after its last point under the next coordinator, and keeps the first results") {
  const v1::JobSpec spec = SpecOf(1);
  Stored stored;
  std::vector<float> expected;
  {
    JobHistory history(&spec);
    history.Begin(0);
    Train(&history, 0, 25'500, NoisyLoss);
    stored.Take(&history);
    // They are not stored.
    Train(&history, 25'500, 26'000, NoisyLoss);
  }
  // It goes on from a snapshot, which lies before or behind the last point that is stored.
  for (const uint64_t first : {0u, 25'000u, 26'000u}) {
    JobHistory history(&spec);
    Stored next = stored;
    history.Restore(next.blocks);
    CHECK_FALSE(history.changed());
    history.Begin(first);
    Train(&history, first, 40'000, [](uint64_t t) { return t < 25'500 ? 1000 : NoisyLoss(t); });
    next.Take(&history);
    const std::vector<v1::HistoryBlock> blocks = history.Blocks();
    CHECK(LossesOf(InOrder(next.blocks, 1)) == LossesOf(blocks));
    const std::vector<uint64_t> iterations = IterationsOf(blocks);
    CHECK(std::vector<uint64_t>(iterations.end() - 10'000, iterations.end()) == Range(30'000, 40'000));
    const std::vector<float> losses = LossesOf(blocks);
    CHECK(std::count(losses.begin(), losses.end(), 1000.0f) == 0);
    // Seconds go on as well.
    CHECK(*blocks.back().seconds().rbegin() == 25'499.0 + 39'999.0);
  }
}

TEST_CASE("a job that resumes another has its curve up to the iteration that it goes on from, as its own") {
  const v1::JobSpec spec = SpecOf(1);
  Stored former;
  std::vector<float> before;
  {
    JobHistory history(&spec);
    history.Begin(0);
    Train(&history, 0, 60'500, NoisyLoss);
    former.Take(&history);
    before = LossesOf(history.Blocks());
  }
  // Within the open block, a full one, each level, at a block's edge, beyond all, and before all.
  for (const uint64_t first : {60'200u, 55'555u, 20'000u, 300u, 59'000u, 61'000u, 0u}) {
    JobHistory history(&spec);
    history.Inherit(former.blocks);
    Stored stored;
    stored.Take(&history);
    CHECK(LossesOf(InOrder(stored.blocks, 1)) == before);
    history.Begin(first);
    CHECK(history.changed() == (first < 60'500));
    std::vector<uint64_t> kept = IterationsOf(history.Blocks());
    if (!kept.empty()) CHECK(kept.back() < first);
    CHECK(kept.size() <= first);
    Train(&history, first, first + 1500, [](uint64_t) { return 1000; });
    stored.Take(&history, /*cuts=*/true);
    CHECK(LossesOf(InOrder(stored.blocks, 1)) == LossesOf(history.Blocks()));
    CHECK(stored.blocks.size() == history.Blocks().size());
    const std::vector<float> losses = LossesOf(history.Blocks());
    CHECK(std::vector<float>(losses.end() - 1500, losses.end()) == std::vector<float>(1500, 1000));
    CHECK(IterationsOf(history.Blocks()).back() == first + 1499);
  }
}

TEST_CASE("a damaged block is a gap, and the curve goes on behind it, and points that two blocks have come once") {
  const v1::JobSpec spec = SpecOf(1);
  Stored stored;
  {
    JobHistory history(&spec);
    history.Begin(0);
    Train(&history, 0, 10'500, NoisyLoss);
    stored.Take(&history);
  }
  SECTION("left out by the table") { stored.blocks.erase({0, 4}); }
  SECTION("iterations without numbers") { stored.blocks[{0, 4}].mutable_losses()->RemoveLast(); }
  SECTION("outputs of another net") { stored.blocks[{0, 4}].mutable_outputs()->Add(1); }
  SECTION("iterations that do not ascend") { stored.blocks[{0, 4}].set_iterations(7, 0); }
  SECTION("no points") { stored.blocks[{0, 4}].Clear(); }
  std::vector<uint64_t> expected = Range(0, 10'500);
  expected.erase(expected.begin() + 4000, expected.begin() + 5000);
  CHECK(IterationsOf(InOrder(stored.blocks, 1)) == expected);
  // A coordinator ended between the writing of the thinned block and the removal of the one that it was made of.
  for (int i = 0; i < 1000; i += 8) {
    AppendExtremes(stored.blocks[{0, 0}], i, i + 8, &stored.blocks[{1, 0}]);
  }
  CHECK(IterationsOf(InOrder(stored.blocks, 1)).size() == 250 + 8500);
  JobHistory history(&spec);
  history.Restore(stored.blocks);
  history.Begin(10'000);
  CHECK(history.TakeChanges().removed == std::vector<HistoryKey>{{0, 0}});
  Train(&history, 10'000, 12'000, NoisyLoss);
  const std::vector<uint64_t> iterations = IterationsOf(history.Blocks());
  CHECK(iterations.back() == 11'999);
  CHECK(std::vector<uint64_t>(iterations.end() - 7000, iterations.end()) == Range(5000, 12'000));
}

// Run it by name: it prints bytes and seconds.
TEST_CASE("figures of a curve of a million iterations", "[.figures]") {
  const v1::JobSpec spec = SpecOf(1);
  const auto seconds_since = [](std::chrono::steady_clock::time_point begin) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  const TempDir dir;
  auto table = LmdbJobTable::Open(dir.path(), 1);
  REQUIRE_OK(table);
  JobTable::Entry entry;
  entry.number = 1;
  entry.spec = spec;
  REQUIRE_OK((*table)->Insert(entry, std::nullopt));
  JobHistory history(&spec);
  history.Begin(0);
  const auto begin = std::chrono::steady_clock::now();
  double storing = 0;
  int writes = 0;
  for (uint64_t t = 0; t < 1'000'000; t += 1500) {
    Train(&history, t, std::min<uint64_t>(1'000'000, t + 1500), NoisyLoss);
    JobHistory::Changes changes = history.TakeChanges();
    const auto write = std::chrono::steady_clock::now();
    REQUIRE_OK((*table)->UpdateHistory({{1, std::move(changes.written), std::move(changes.removed)}}));
    storing += seconds_since(write);
    ++writes;
    history.Stored(changes.version);
  }
  const double trained = seconds_since(begin);
  const auto read = std::chrono::steady_clock::now();
  auto blocks = (*table)->LoadHistory(1);
  REQUIRE_OK(blocks);
  uint64_t bytes = 0;
  for (const auto& [key, block] : *blocks) bytes += block.ByteSizeLong();
  const std::vector<v1::HistoryBlock> ordered = InOrder(*std::move(blocks), 1);
  std::cout << "a million iterations: " << IterationsOf(ordered).size() << " points in " << ordered.size()
            << " blocks of " << bytes << " bytes; read in " << seconds_since(read) << " s; data.mdb has "
            << std::filesystem::file_size(dir.File("data.mdb")) << " bytes; " << trained - storing
            << " s in memory, and " << storing << " s for " << writes << " writes\n";
}

}  // namespace
}  // namespace samovar
