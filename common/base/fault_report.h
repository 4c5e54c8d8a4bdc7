// Reports the fault that ends a process whose mapped file cannot be read any more: another process has cut it, or
// its disk is full. The kernel then ends the process by SIGBUS, without a word.
#pragma once

#include <string>

namespace samovar {

// From now on a SIGBUS ends the process with `exit_code` and a line on stderr that begins with the program's name and
// names the file, and so does a SIGSEGV while a FaultContext exists on the thread. Every other fault ends it as before.
// Call once, at the start of main. No effect in builds with sanitizers, which have handlers of their own.
void ReportFaults(const char* program, int exit_code);

// While the process has changed something outside of it, a terminal say: `cleanup` is called when a fault, an abort or
// SIGQUIT ends the process, in the signal's handler, before anything is printed. Null: nothing is to be done any more.
// Without ReportFaults, a fault is not noticed.
void SetFaultCleanup(void (*cleanup)());

// While it exists, a fault on this thread is reported as damage of the file: for calls of a library that trusts a
// file's content. Not to be nested. `file` outlives it.
class FaultContext {
 public:
  explicit FaultContext(const std::string& file);
  ~FaultContext();
  FaultContext(const FaultContext&) = delete;
  FaultContext& operator=(const FaultContext&) = delete;
};

}  // namespace samovar
