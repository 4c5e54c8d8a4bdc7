// Times of this process, in seconds.
//
// Thread safety: stateless.
#pragma once

#include <time.h>

#include <chrono>

namespace samovar {

inline double Seconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

// Processor time of all threads so far.
inline double CpuSeconds() {
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace samovar
