// Lateness is what a chunk remembers of how late its pushes come, and how late gradients are applied with their whole
// effect all the same.
//
// A gradient that is s updates late closes a loop with a delay. What such a loop cannot stand is gain at the frequency
// at which it oscillates; what learning needs is gain at low frequencies. So rates stay as they are, and the memory of
// momentum is made longer, which filters the former and leaves the latter; weights are pulled ahead, which gives the
// loop its phase back. The largest stable rate falls with s only, not with s squared (benchmarks/staleness/README.md).
//
//   M0 = 1 / (1 - m)    M = M0 (1 + 4 s)    m' = 1 - 1 / M
//   h <- m' h + r a g   w <- w - (M0 / M) h
//   pulled: w - k (M0 / M) h,  k = m' (1 - m'^(3 s)) / (1 - m')
//
// h is Caffe's history, in Caffe's scale: whatever s becomes, also in a job that goes on with other workers, or without
// any, what h holds keeps its whole effect, M0 h. With s = 0 all of it is Caffe's arithmetic, to the bit.
//
// Sources: Hakimi et al. 2019 (DANA), Kosson et al. 2021 (weight prediction), Ajanthan et al. 2025 (long memory in
// asynchronous pipelines).
//
// Thread safety: none; as the chunk that it belongs to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace samovar {

// The usual staleness of a chunk's pushes, in pushes: the largest of the first few, which take the place of an average
// that is not known yet, then a moving average. The values are those to start with.
struct UsualStaleness {
  double value = 0;
  // How many were counted.
  uint64_t pushes = 0;

  // The push of a worker that was away for a while counts with 4 + 2 value at most: it does not tell how late others
  // are. What falls below 0.01 becomes 0.
  void Count(uint64_t staleness);
};

// How large the gradients of a segment usually are, by their L2 norm. 0: none was seen yet.
struct NormLevel {
  // Moving average.
  float average = 0;
  // Follows the average down at once, and up slowly: more slowly, the later pushes are. An oscillation begins in single
  // layers, whose gradients grow several times within a few rounds of all workers.
  float level = 0;

  // Counts a gradient of this norm; returns the factor that it is to be cut by, 1 or less: to twice the level with up
  // to 8 workers, to 1 + 8 / (1 + s) times the level with more.
  float Cut(double norm, double usual_staleness);
};

struct Lateness {
  UsualStaleness usual;
  // By segment of the chunk. Empty, or 0 for statistics.
  std::vector<NormLevel> levels;
  // The steps that are under way, their h, of solvers that have no momentum (SolverRule::spreads_steps). Empty: none.
  std::vector<float> steps;
};

// How one push is applied. The default is Caffe's arithmetic.
struct LateStep {
  // The usual staleness s.
  double staleness = 0;
  // r, see WarmUp. Multiplies the rate, and the gradients of solvers without momentum as well: AdaGrad's sum of squares
  // would never forget them.
  float warm_up = 1;
  // The gradient is cut by it, before its decay.
  float cut = 1;
};

// The part of its rate that the push gets which comes when a chunk has had so many: rates rise over the first five
// rounds of all workers, since nobody has seen any of them yet. 1 with staleness 0.
float WarmUp(uint64_t pushes, double staleness);

// The factors above, for one staleness.
struct Stretch {
  // m'
  float kept = 0;
  // M0 / M
  float share = 1;
  // k M0 / M
  float ahead = 0;
};

// For a momentum. `kept` is the momentum itself with staleness 0.
Stretch StretchMomentum(float momentum, double staleness);
// For a solver whose steps have none: each is spread over M = 1 + 4 s max(10, M0) pushes. M0 is the memory of its
// averages, if they have a momentum, or 1.
Stretch StretchSteps(float momentum, double staleness);

// L2 norm, summed in double, in the same order on every CPU.
double L2Norm(std::span<const float> values);

}  // namespace samovar
