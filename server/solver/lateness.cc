#include "server/solver/lateness.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace samovar {
namespace {

// How much longer than the staleness the memory is made, in units of the memory that it has without.
constexpr double kMemory = 4;
// The memory that takes the place of a momentum's at least.
constexpr double kStepsMemory = 10;
// How far weights are pulled ahead, in units of the staleness.
constexpr double kAhead = 3;
constexpr double kWarmUpRounds = 5;
constexpr double kNoStaleness = 0.01;
// The weight of one norm in its average.
constexpr double kNormWeight = 0.05;
// The most that a level rises in a push, with few workers.
constexpr double kRise = 0.02;
// Up to so many workers are few.
constexpr double kFewWorkers = 8;

// m' = 1 - 1 / memory, with M0 of `before`.
Stretch StretchTo(double memory, double before, double staleness) {
  const double kept = 1 - 1 / memory;
  const double ahead = kept * (1 - std::pow(kept, kAhead * staleness)) * memory;
  return {static_cast<float>(kept), static_cast<float>(before / memory), static_cast<float>(ahead * before / memory)};
}

}  // namespace

void UsualStaleness::Count(uint64_t staleness) {
  const double bounded = std::min(static_cast<double>(staleness), 4 + 2 * value);
  if (static_cast<double>(pushes) < 3 * (1 + value)) {
    value = std::max(value, bounded);
  } else {
    value += std::min(0.05, 1 / (1 + value)) * (bounded - value);
  }
  if (value < kNoStaleness) value = 0;
  ++pushes;
}

float NormLevel::Cut(double norm, double usual_staleness) {
  const double few = std::min(1.0, kFewWorkers / (1 + usual_staleness));
  if (level == 0) {
    average = level = static_cast<float>(std::min(norm, static_cast<double>(std::numeric_limits<float>::max())));
    return 1;
  }
  const double most = (1 + few) * static_cast<double>(level);
  const double counted = std::min(norm, most);
  average = static_cast<float>(average + kNormWeight * (counted - average));
  level = static_cast<float>(std::min<double>(average, level * (1 + kRise * std::pow(few, 4))));
  return norm > most ? static_cast<float>(most / norm) : 1;
}

float WarmUp(uint64_t pushes, double staleness) {
  if (staleness == 0) return 1;
  return static_cast<float>(std::min(1.0, (1 + static_cast<double>(pushes)) / (kWarmUpRounds * (1 + staleness))));
}

Stretch StretchMomentum(float momentum, double staleness) {
  if (staleness == 0) return {momentum, 1, 0};
  const double before = 1 / (1 - static_cast<double>(momentum));
  return StretchTo(before * (1 + kMemory * staleness), before, staleness);
}

Stretch StretchSteps(float momentum, double staleness) {
  if (staleness == 0) return {};
  const double memory = std::max(kStepsMemory, 1 / (1 - static_cast<double>(momentum)));
  return StretchTo(1 + kMemory * memory * staleness, 1, staleness);
}

double L2Norm(std::span<const float> values) {
  constexpr size_t kLanes = 8;
  double sums[kLanes] = {};
  const size_t whole = values.size() / kLanes * kLanes;
  for (size_t i = 0; i < whole; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const double value = values[i + lane];
      sums[lane] += value * value;
    }
  }
  for (size_t i = whole; i < values.size(); ++i) sums[0] += static_cast<double>(values[i]) * values[i];
  double sum = 0;
  for (const double lane : sums) sum += lane;
  return std::sqrt(sum);
}

}  // namespace samovar
