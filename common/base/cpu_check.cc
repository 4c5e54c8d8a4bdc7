// Stops a process with one clear line on a CPU that lacks the instructions that a program, or a library, was compiled
// for.
//
// This file is compiled for the oldest x86-64 CPU, once for each level that something is compiled for; it includes
// nothing that has code of its own, and runs before any other constructor of the program or library that it is part of,
// so that no newer instruction is met first.
#include <string.h>
#include <unistd.h>

namespace {

bool Has(const char* level) {
  const bool v2 =
      __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("ssse3");
  const bool v3 =
      v2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  if (strcmp(level, "x86-64-v4") == 0) return v4;
  if (strcmp(level, "x86-64-v3") == 0) return v3;
  if (strcmp(level, "x86-64-v2") == 0) return v2;
  return true;  // "x86-64" runs everywhere; for other values of -march the builder has chosen the machine himself.
}

__attribute__((constructor(101))) void CheckCpu() {
  __builtin_cpu_init();
  if (Has(SAMOVAR_LEVEL)) return;
  const char message[] = "samovar: this CPU lacks instructions of " SAMOVAR_LEVEL
                         ", which this build needs. x86-64-v2 (SSE 4.2) is the least that is supported; with a CPU "
                         "that has it, build with "
                         "-DSAMOVAR_ENGINE_LEVELS=x86-64-v2\n";
  const ssize_t ignored = write(STDERR_FILENO, message, sizeof(message) - 1);
  (void)ignored;
  _exit(2);
}

}  // namespace
