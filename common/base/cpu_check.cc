// Stops a program with one clear line on a CPU that lacks the instructions that the program was compiled for.
//
// This file is compiled for the oldest x86-64 CPU, includes nothing that has code of its own, and runs before any other
// constructor of the program, so that no newer instruction is met first.
#include <string.h>
#include <unistd.h>

namespace {

#define SAMOVAR_STRING_INNER(text) #text
#define SAMOVAR_STRING(text) SAMOVAR_STRING_INNER(text)

bool Has(const char* level) {
  const bool v2 = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("ssse3");
  const bool v3 = v2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  if (strcmp(level, "x86-64-v4") == 0) return v4;
  if (strcmp(level, "x86-64-v3") == 0) return v3;
  if (strcmp(level, "x86-64-v2") == 0) return v2;
  return true;  // "x86-64" runs everywhere; for other values of -march the builder has chosen the machine himself.
}

__attribute__((constructor(101))) void CheckCpu() {
  __builtin_cpu_init();
  if (Has(SAMOVAR_STRING(SAMOVAR_ARCH))) return;
  const char message[] =
      "samovar: this CPU lacks instructions of " SAMOVAR_STRING(SAMOVAR_ARCH)
      ", which this build needs; build with cmake -DSAMOVAR_ARCH=x86-64-v2 for older CPUs\n";
  const ssize_t ignored = write(STDERR_FILENO, message, sizeof(message) - 1);
  (void)ignored;
  _exit(2);
}

}  // namespace
