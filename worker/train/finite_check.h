// Finds values of a gradient that are not finite before it leaves the worker.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "samovar/v1/layout.pb.h"

namespace samovar {

// Says in which layer's blob the first value is that is not finite; none: all are. `gradients` are those of the floats
// from `begin` on.
std::optional<std::string> FindBadGradient(std::span<const float> gradients, uint64_t begin,
                                           const v1::ParameterLayout& layout);

}  // namespace samovar
