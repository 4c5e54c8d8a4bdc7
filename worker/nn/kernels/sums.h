// Sums whose bits depend on the terms alone, not on machine or threads.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "worker/nn/kernels/pieces.h"

namespace samovar {

// term(0) + ... + term(n - 1) in eight lanes and then across them: an order that no compiler or alignment changes, and
// that can be vectorised.
template <typename Number, typename Term>
Number SumOf(int64_t n, Term term) {
  Number lanes[8] = {};
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    for (int lane = 0; lane < 8; ++lane) lanes[lane] += term(i + lane);
  }
  for (; i < n; ++i) lanes[i % 8] += term(i);
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
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
  double Run(const Loop& loop, absl::FunctionRef<double(int64_t begin, int64_t end)> part) {
    loop.Run(total_, per_piece_, [&](int64_t begin, int64_t end, int64_t piece, int) {
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
