// Command line of samovar-worker.
#pragma once

#include <cstdint>
#include <iostream>
#include <string>

#include "common/storage/storage_table.h"
#include "config/parsed.h"

namespace samovar {

// Largest number of connections to each server that can be asked for: ParameterClient's.
inline constexpr int kMaxChannels = 8;

struct WorkerFlags {
  // "HOST:PORT", or the cluster's home.
  std::string coordinator;
  // Shown in the status; empty: the program chooses.
  std::string name;
  // Threads that compute.
  int threads = 1;
  // Directory of the partitions' cache and its bound; empty: none.
  std::string cache;
  uint64_t cache_bytes = 0;
  // Connections to each server; 0: by the model's size.
  uint32_t channels = 0;
  // As ServerFlags.
  std::string http = "127.0.0.1:0";
  // File descriptor that takes "ok\n" when the worker has joined; -1: none.
  int ready_fd = -1;
  std::string log_level = "info";
  std::string log_format = "text";
  bool die_with_parent = false;
};

class CommandLine;

// Adds the program's flags, which fill `flags`.
void AddWorkerFlags(const StorageTable& storage, CommandLine* line, WorkerFlags* flags);

// `storage`: of the homes that may be named. Mistakes are told to `errors`.
Parsed<WorkerFlags> ParseWorkerFlags(int argc, const char* const* argv, const StorageTable& storage,
                                     std::ostream* errors = &std::cerr);

}  // namespace samovar
