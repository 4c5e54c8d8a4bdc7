// Processor time of a process, all its threads, since it began.
//
// Thread safety: stateless.
#pragma once

#include <sys/types.h>

namespace samovar {

// 0 if there is no such process.
double CpuSecondsOf(pid_t pid);

}  // namespace samovar
