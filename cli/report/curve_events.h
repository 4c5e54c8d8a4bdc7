// A curve as scalars of TensorBoard's, each at its iteration: "loss", "learning_rate", "images_per_second",
// "train/NAME", "test0/NAME".
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "cli/report/curve.h"
#include "cli/report/event_file.h"

namespace samovar {

// The first iteration of a point or a test; nothing: the curve is empty.
std::optional<uint64_t> FirstIteration(const Curve& curve);

// CurveEvents adds the points and tests of curves to a file, each once, however often it is in a curve.
//
// Thread safety: none.
class CurveEvents {
 public:
  // `is_whole`: no point will come any more. Else the points of the newest second wait for the next curve, since their
  // rate is that of all points of the second.
  void AddTo(const Curve& curve, bool is_whole, EventFile* file);

  // The newest point that was added, from which the next curve is to begin: its rates are told from there.
  uint64_t next() const { return last_.value_or(0); }

 private:
  std::optional<uint64_t> last_;
  // Iterations and names of the tests that were added.
  std::set<std::pair<uint64_t, std::string>> tests_;
};

}  // namespace samovar
