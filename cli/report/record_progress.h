// How a command that goes through the records of a data set says how far it is.
#pragma once

#include <cstdint>
#include <functional>

namespace samovar {

// Writes "DONE of TOTAL records" to stderr, over the line that it wrote before, if that is a terminal; else empty.
std::function<void(uint64_t done, uint64_t total)> RecordProgress();

}  // namespace samovar
