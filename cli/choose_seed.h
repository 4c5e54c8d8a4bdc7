// The seed of a job.
#pragma once

#include <cstdint>
#include <optional>
#include <random>

#include "caffe.pb.h"

namespace samovar {

// The seed that the user asks for, else the solver's, else a random one.
inline uint64_t ChooseSeed(std::optional<uint64_t> asked, const caffe::SolverParameter& solver) {
  if (asked.has_value()) return *asked;
  if (solver.random_seed() >= 0) return static_cast<uint64_t>(solver.random_seed());
  return std::random_device()();
}

}  // namespace samovar
