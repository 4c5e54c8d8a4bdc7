// JobHistory is a job's curve: a point for each iteration, with its own loss, whatever the solver's display is, from
// the first to the last, in a bounded number of points.
//
//   level   3      2      1            0
//          [ ..   ][ ..  ][ .... ][ ....   ][ ....   ] ... [ open ]
//          fewer points an iteration   <->   every iteration
//
// New points come into the open block of level 0. With kBlockPoints it is full, and is never changed again. When a
// level has more than kFullBlocks full ones, the oldest is thinned into the next level's open block: of each
// kNeighbours points the lowest and the highest loss stay (history_block.h), a quarter. So at least the newest
// 10,000 points have full resolution, those before them a quarter of it, and so on: level k reaches over 10,000 *
// 4^k iterations. n iterations have fewer than 11,000 * (1 + L) points, L = log4(1 + 3 n / 10,000) rounded down:
// 55,000 for a million (in fact 41,500, in a megabyte), 110,000 for a thousand million. A point takes 23 bytes, and
// 4 for each output.
//
// A net's outputs are kept if it has no more than kMaxOutputs values in all, else the loss alone. An iteration has its
// point when all iterations up to it are done. One that was skipped has none. One that is computed again, since servers
// were lost or the coordinator was, keeps its first result; what a lost coordinator has not written down, and is not
// computed again, is a gap.
//
// Thread safety: none; guarded by its owner.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "absl/types/span.h"
#include "samovar/v1/job.pb.h"
#include "samovar/v1/status.pb.h"
#include "server/jobs/history_block.h"

namespace samovar {

class JobHistory {
 public:
  static constexpr int kBlockPoints = 1000;
  static constexpr size_t kFullBlocks = 10;
  static constexpr int kNeighbours = 8;
  static constexpr int kMaxOutputs = 32;

  // To be stored: blocks that are new or have grown, and those that are not any more. Blocks that were thinned go with
  // the block that has taken their points.
  struct Changes {
    HistoryBlocks written;
    std::vector<HistoryKey> removed;
    // To be given to Stored.
    uint64_t version = 0;

    bool empty() const { return written.empty() && removed.empty(); }
  };

  // The spec outlives this.
  explicit JobHistory(const v1::JobSpec* spec);

  // The blocks that another coordinator has stored, as far as they are not damaged. Before Begin.
  void Restore(HistoryBlocks blocks);
  // The same for the curve of the job that this one goes on from. What that one has computed beyond the iteration that
  // this one begins with is left out; the block there is the only full one that changes.
  void Inherit(HistoryBlocks blocks);
  // The job computes the iterations from `first` on. Before any Add.
  void Begin(uint64_t first);
  // An iteration is done. `outputs`: in the order of JobSpec.train_outputs, or none. `staleness`: as TrainResult.
  void Add(uint64_t iteration, float loss, absl::Span<const float> outputs, float staleness = 0);
  // All iterations below `watermark` are done, at `seconds` since the job's start under this coordinator.
  void Advance(uint64_t watermark, double seconds);

  // Since the last call of Stored.
  Changes TakeChanges();
  bool changed() const { return version_ != stored_; }
  // Those changes are stored.
  void Stored(uint64_t version);

  // Lets go of all points.
  void Clear();
  // All blocks, in the order of iterations.
  std::vector<v1::HistoryBlock> Blocks() const;

 private:
  struct Block {
    uint64_t index = 0;
    v1::HistoryBlock points;
    // Values of version_ when it was begun, and when it was last changed.
    uint64_t begun = 0;
    uint64_t changed = 0;
  };
  struct Level {
    // Ascending; all but the last are full.
    std::deque<Block> blocks;
    uint64_t next_index = 0;
  };
  struct Result {
    float loss = 0;
    std::vector<float> outputs;
    float staleness = 0;
  };

  // Drops the points of `first` and later iterations.
  void CutFrom(uint64_t first);
  void Remove(size_t level, const Block& block);
  // The block of the level that takes the next points: two at least, one in level 0.
  Block* Open(size_t level);
  // Thins the level's oldest block, and those of levels above, if there are too many.
  void Thin(size_t level);
  const v1::JobSpec& spec_;
  std::vector<Level> levels_;
  // The lowest iteration that may have a point.
  uint64_t next_ = 0;
  // The points were another job's.
  bool inherited_ = false;
  // The seconds of the newest restored point.
  double seconds_before_ = 0;
  // Results of iterations from next_ on.
  std::map<uint64_t, Result> results_;
  // Raised with each change. Those up to `taken_` have been given out, those up to `stored_` are stored.
  uint64_t version_ = 0;
  uint64_t taken_ = 0;
  uint64_t stored_ = 0;
  // Blocks that may be stored, and are not any more, with the version of that change.
  std::map<HistoryKey, uint64_t> removed_;
};

// The blocks in the order of iterations, from the highest level on. Points that a higher level has as well are left
// out, and so are blocks that are not whole or do not have `outputs` values for each point.
std::vector<v1::HistoryBlock> InOrder(HistoryBlocks blocks, int outputs);

// Output values that are kept for each iteration of the job.
int HistoryOutputs(const v1::JobSpec& spec);

}  // namespace samovar
