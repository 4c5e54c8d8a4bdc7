// DisplayLog keeps the lines that a solver's `display` asks of a job: a line for each multiple of it, in order, each
// once, with that iteration's own outputs, and the mean loss of the solver.average_loss iterations that end with it. A
// line is there when all iterations up to it are done, however late a client asks. Iterations that are computed again,
// since servers were lost or the coordinator was, are not shown again.
//
// Thread safety: none; guarded by its owner.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "samovar/v1/job.pb.h"

namespace samovar {

class DisplayLog {
 public:
  // The newest lines are kept: so many, with so many output values in all.
  static constexpr size_t kMaxLines = 10000;
  static constexpr size_t kMaxValues = 100000;

  // The result of an iteration that is done.
  struct Result {
    double loss = 0;
    // In the order of JobSpec.train_outputs, or none.
    std::vector<float> outputs;
    // It has no loss that counts.
    bool skipped = false;
  };

  // The spec outlives this.
  explicit DisplayLog(const v1::JobSpec* spec) : spec_(*spec) {}

  // The lines that another coordinator's log has had, from JobRecord. Before Begin.
  void Restore(const google::protobuf::RepeatedPtrField<v1::DisplayLine>& lines, std::optional<uint64_t> displayed);
  // The job computes the iterations from `first` on. Before any Add. Returns the multiples of display that have no line
  // and will have none, as the numbers of the first and the last: they were done under another coordinator, of whose
  // results nothing is left.
  std::optional<std::pair<uint64_t, uint64_t>> Begin(uint64_t first);
  void Add(uint64_t iteration, Result result);
  // All iterations below `watermark` are done, at `seconds` since the job's start.
  void Advance(uint64_t watermark, double seconds);
  // Lines of this iteration and later ones, as far as they are kept.
  std::vector<v1::DisplayLine> From(uint64_t iteration) const;
  // As JobRecord.displayed.
  std::optional<uint64_t> displayed() const { return displayed_; }
  // The iterations of the oldest line that is kept, and the one after the newest; 0: there is none.
  uint64_t oldest() const { return lines_.empty() ? 0 : lines_.front().iteration(); }
  uint64_t end() const { return lines_.empty() ? 0 : lines_.back().iteration() + 1; }

 private:
  // The solver's; 0: nothing is shown.
  uint64_t Interval() const { return static_cast<uint64_t>(std::max(0, spec_.solver().display())); }
  void AddLine(uint64_t iteration, const Result& result, double seconds);
  void Keep(v1::DisplayLine line);

  const v1::JobSpec& spec_;
  // The lowest iteration that is not among those averaged yet, and the lowest that may have a line: this one is the
  // higher where iterations are computed again.
  uint64_t next_ = 0;
  std::optional<uint64_t> displayed_;
  // Results of iterations from next_ on.
  std::map<uint64_t, Result> results_;
  // The last solver.average_loss iterations below next_: losses of those that are known and were not skipped, by
  // iteration.
  std::deque<std::pair<uint64_t, double>> losses_;
  double loss_sum_ = 0;
  std::deque<v1::DisplayLine> lines_;
  size_t values_ = 0;
};

}  // namespace samovar
