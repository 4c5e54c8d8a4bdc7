// Use that this process makes of its machine. All of it is asked of the system, in some microseconds.
#pragma once

#include <cstdint>
#include <string>

namespace samovar {

// Processor time of all threads so far, in seconds.
double ProcessCpuSeconds();
// Bytes of memory that the process has in RAM; 0: not known.
uint64_t ProcessResidentBytes();
// The name of this machine; empty: not known.
std::string MachineName();

}  // namespace samovar
