#include "server/jobs/job_history.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "common/model/learning_rate.h"

namespace samovar {
namespace {

bool IsFull(size_t level, const v1::HistoryBlock& block) {
  // Levels above the first one get two points at a time.
  return block.iterations_size() > JobHistory::kBlockPoints - (level == 0 ? 1 : 2);
}

// The keys in the order of iterations.
std::vector<HistoryKey> KeysInOrder(const HistoryBlocks& blocks) {
  std::vector<HistoryKey> keys;
  for (const auto& [key, block] : blocks) keys.push_back(key);
  std::stable_sort(keys.begin(), keys.end(),
                   [](const HistoryKey& a, const HistoryKey& b) { return a.level > b.level; });
  return keys;
}

// Takes out blocks that are not whole, and blocks and points that another one has as well: a coordinator may have ended
// between the steps of a change. Returns the keys of the blocks that had such points and are gone, and of those that
// have lost some.
std::set<HistoryKey> Settle(int outputs, HistoryBlocks* blocks) {
  std::set<HistoryKey> changed;
  uint64_t end = 0;
  for (const HistoryKey& key : KeysInOrder(*blocks)) {
    v1::HistoryBlock& block = blocks->at(key);
    const int points = block.iterations_size();
    if (points == 0 || !IsWhole(block) || block.outputs_size() != points * outputs) {
      blocks->erase(key);
      continue;
    }
    if (block.iterations(0) < end) {
      v1::HistoryBlock rest;
      for (int i = 0; i < points; ++i) {
        if (block.iterations(i) >= end) AppendPoint(block, i, &rest);
      }
      changed.insert(key);
      if (rest.iterations().empty()) {
        blocks->erase(key);
        continue;
      }
      block.Swap(&rest);
    }
    // Versions before did not note it.
    block.mutable_staleness()->Resize(block.iterations_size(), -1);
    end = *block.iterations().rbegin() + 1;
  }
  return changed;
}

}  // namespace

int HistoryOutputs(const v1::JobSpec& spec) {
  const int outputs = spec.train_outputs().outputs_size();
  return outputs <= JobHistory::kMaxOutputs ? outputs : 0;
}

std::vector<v1::HistoryBlock> InOrder(HistoryBlocks blocks, int outputs) {
  Settle(outputs, &blocks);
  std::vector<v1::HistoryBlock> ordered;
  for (const HistoryKey& key : KeysInOrder(blocks)) ordered.push_back(std::move(blocks.at(key)));
  return ordered;
}

JobHistory::JobHistory(const v1::JobSpec* spec) : spec_(*spec) {}

void JobHistory::Restore(HistoryBlocks blocks) {
  const std::set<HistoryKey> changed = Settle(HistoryOutputs(spec_), &blocks);
  if (!changed.empty()) ++version_;
  for (const HistoryKey& key : changed) {
    if (!blocks.contains(key)) removed_[key] = version_;
  }
  for (const HistoryKey& key : KeysInOrder(blocks)) {
    if (levels_.size() <= key.level) levels_.resize(key.level + 1);
    Level& level = levels_[key.level];
    v1::HistoryBlock& points = blocks.at(key);
    next_ = *points.iterations().rbegin() + 1;
    seconds_before_ = *points.seconds().rbegin();
    level.next_index = key.index + 1;
    level.blocks.push_back({key.index, std::move(points), 0, changed.contains(key) ? version_ : 0});
  }
}

void JobHistory::Inherit(HistoryBlocks blocks) {
  Restore(std::move(blocks));
  inherited_ = true;
  removed_.clear();
  ++version_;
  for (Level& level : levels_) {
    for (Block& block : level.blocks) block.begun = block.changed = version_;
  }
}

void JobHistory::CutFrom(uint64_t first) {
  if (next_ <= first) return;
  ++version_;
  next_ = first;
  seconds_before_ = 0;
  // Later iterations are in lower levels.
  for (size_t level = levels_.size(); level-- > 0;) {
    std::deque<Block>& blocks = levels_[level].blocks;
    while (!blocks.empty() && blocks.back().points.iterations(0) >= first) {
      Remove(level, blocks.back());
      blocks.pop_back();
    }
    if (blocks.empty()) continue;
    v1::HistoryBlock& points = blocks.back().points;
    if (*points.iterations().rbegin() >= first) {
      v1::HistoryBlock kept;
      for (int i = 0; points.iterations(i) < first; ++i) AppendPoint(points, i, &kept);
      points.Swap(&kept);
      blocks.back().changed = version_;
    }
    seconds_before_ = *points.seconds().rbegin();
  }
}

void JobHistory::Begin(uint64_t first) {
  if (std::exchange(inherited_, false)) CutFrom(first);
  next_ = std::max(next_, first);
  results_.clear();
}

void JobHistory::Add(uint64_t iteration, float loss, absl::Span<const float> outputs, float staleness) {
  if (iteration < next_ || results_.contains(iteration)) return;
  const auto kept = static_cast<size_t>(HistoryOutputs(spec_));
  Result& result = results_[iteration];
  result.loss = loss;
  result.staleness = staleness;
  result.outputs.assign(outputs.begin(), outputs.begin() + static_cast<ptrdiff_t>(std::min(kept, outputs.size())));
  // Outputs of another net were left out.
  result.outputs.resize(kept, std::numeric_limits<float>::quiet_NaN());
}

void JobHistory::Advance(uint64_t watermark, double seconds) {
  if (watermark <= next_) return;
  next_ = watermark;
  if (results_.empty() || results_.begin()->first >= watermark) return;
  ++version_;
  while (!results_.empty() && results_.begin()->first < watermark) {
    const auto& [iteration, result] = *results_.begin();
    Block* const open = Open(0);
    open->points.add_iterations(iteration);
    open->points.add_seconds(seconds_before_ + seconds);
    open->points.add_losses(result.loss);
    open->points.add_learning_rates(static_cast<float>(LearningRate(spec_.solver(), iteration)));
    for (const float output : result.outputs) open->points.add_outputs(output);
    open->points.add_staleness(result.staleness);
    results_.erase(results_.begin());
    Thin(0);
  }
}

JobHistory::Block* JobHistory::Open(size_t level) {
  if (levels_.size() <= level) levels_.resize(level + 1);
  Level& into = levels_[level];
  if (into.blocks.empty() || IsFull(level, into.blocks.back().points)) {
    removed_.erase({static_cast<uint32_t>(level), into.next_index});
    into.blocks.push_back({into.next_index++, {}, version_, version_});
  }
  into.blocks.back().changed = version_;
  return &into.blocks.back();
}

void JobHistory::Thin(size_t level) {
  // A reference into levels_ would not outlive Open, which may add one.
  const auto has_too_many = [&] {
    const std::deque<Block>& blocks = levels_[level].blocks;
    return blocks.size() > kFullBlocks && blocks.size() - (IsFull(level, blocks.back().points) ? 0 : 1) > kFullBlocks;
  };
  while (has_too_many()) {
    const Block oldest = std::move(levels_[level].blocks.front());
    levels_[level].blocks.pop_front();
    Remove(level, oldest);
    const int points = oldest.points.iterations_size();
    for (int begin = 0; begin < points; begin += kNeighbours) {
      AppendExtremes(oldest.points, begin, std::min(points, begin + kNeighbours), &Open(level + 1)->points);
    }
    Thin(level + 1);
  }
}

void JobHistory::Remove(size_t level, const Block& block) {
  if (block.begun <= taken_) removed_[{static_cast<uint32_t>(level), block.index}] = version_;
}

JobHistory::Changes JobHistory::TakeChanges() {
  Changes changes;
  changes.version = taken_ = version_;
  for (size_t level = 0; level < levels_.size(); ++level) {
    for (const Block& block : levels_[level].blocks) {
      if (block.changed > stored_) changes.written[{static_cast<uint32_t>(level), block.index}] = block.points;
    }
  }
  for (const auto& [key, version] : removed_) changes.removed.push_back(key);
  return changes;
}

void JobHistory::Stored(uint64_t version) {
  stored_ = std::max(stored_, version);
  std::erase_if(removed_, [&](const auto& entry) { return entry.second <= version; });
}

void JobHistory::Clear() {
  levels_.clear();
  results_.clear();
  removed_.clear();
}

std::vector<v1::HistoryBlock> JobHistory::Blocks() const {
  std::vector<v1::HistoryBlock> blocks;
  for (size_t level = levels_.size(); level-- > 0;) {
    for (const Block& block : levels_[level].blocks) blocks.push_back(block.points);
  }
  return blocks;
}

}  // namespace samovar
