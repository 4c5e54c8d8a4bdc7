// Command line of samovar, the user's command.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "config/parsed.h"

namespace samovar {

struct TrainFlags {
  std::string solver;
  int servers = 2;
  int workers = 2;
  // Threads that compute, for each worker.
  int threads = 1;
  // Unset: the solver's random_seed, or a random one.
  std::optional<uint64_t> seed;
  // Continue an earlier run, or give it up and begin anew. At most one.
  bool resume = false;
  bool restart = false;
  // Directory of snapshots and logs; empty: "<snapshot_prefix>_state".
  std::string state;
  bool json = false;
  // Of the servers' and workers' log files.
  std::string log_level = "info";
};

struct CheckFlags {
  std::string solver;
};

struct StatusFlags {
  // The coordinator's "HOST:PORT".
  std::string address;
  bool json = false;
};

struct ImportIdxFlags {
  std::string images;
  std::string labels;
  std::string output;
  bool force = false;
};

struct DataInfoFlags {
  std::string path;
};

struct VersionFlags {};

struct CompletionFlags {
  // "bash" or "zsh".
  std::string shell;
};

// The flags of the one subcommand that was given.
using CliFlags =
    std::variant<VersionFlags, TrainFlags, CheckFlags, StatusFlags, ImportIdxFlags, DataInfoFlags, CompletionFlags>;

Parsed<CliFlags> ParseCliFlags(int argc, const char* const* argv);

// A script for the shell ("bash" or "zsh") that completes subcommands, flags and file names.
std::string CompletionScript(const std::string& shell);

}  // namespace samovar
