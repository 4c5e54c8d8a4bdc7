// Sums whose bits depend on the number of terms alone, whoever computes them.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "worker/nn/layer.h"

namespace samovar {

// term(0) + ... + term(n - 1): eight running sums, so that the loop may be vectorised, which are added in order.
template <typename Number, typename Term>
Number SumOf(int64_t n, Term term) {
  constexpr int64_t kLanes = 8;
  Number lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += term(i + lane);
  }
  for (int64_t lane = 0; i + lane < n; ++lane) lanes[lane] += term(i + lane);
  Number sum = 0;
  for (Number lane : lanes) sum += lane;
  return sum;
}

// A sum over a loop that threads share: each piece's part is kept, and parts are added in piece order.
class PieceSum {
 public:
  // Before the first pass.
  void Prepare(int64_t total, int64_t per_piece) {
    total_ = total;
    per_piece_ = per_piece;
    parts_.assign(static_cast<size_t>(Pieces(total, per_piece)), 0);
  }

  // part(begin, end) for each piece of [0, total).
  double Run(const Pass& pass, absl::FunctionRef<double(int64_t begin, int64_t end)> part) {
    pass.loop.Run(total_, per_piece_, [&](int64_t begin, int64_t end, int64_t piece, int) {
      parts_[static_cast<size_t>(piece)] = part(begin, end);
    });
    double sum = 0;
    for (double value : parts_) sum += value;
    return sum;
  }

 private:
  int64_t total_ = 0;
  int64_t per_piece_ = 1;
  std::vector<double> parts_;
};

}  // namespace samovar
