// Command line of samovar-worker.
#pragma once

#include <string>

#include "config/parsed.h"

namespace samovar {

struct WorkerFlags {
  // "HOST:PORT".
  std::string coordinator;
  // Shown in the status; empty: the program chooses.
  std::string name;
  // Threads that compute.
  int threads = 1;
  // File descriptor that takes "ok\n" when the worker has joined; -1: none.
  int ready_fd = -1;
  std::string log_level = "info";
  bool die_with_parent = false;
};

Parsed<WorkerFlags> ParseWorkerFlags(int argc, const char* const* argv);

}  // namespace samovar
