// Command line of samovar-server.
#pragma once

#include <iostream>
#include <string>

#include "common/storage/storage_table.h"
#include "config/parsed.h"

namespace samovar {

struct ServerFlags {
  // "HOST:PORT"; port 0 lets the system choose.
  std::string listen = "127.0.0.1:0";
  // "HOST:PORT" that this server announces to others; empty: see Server::Options.
  std::string advertise;
  // "HOST:PORT" of the pages for people and monitors; "none": none.
  std::string http = "127.0.0.1:0";
  // Either this server is the coordinator, or `join` is the coordinator's "HOST:PORT" or the cluster's home.
  bool coordinator = false;
  std::string join;
  // The cluster's home, for a coordinator; empty: none.
  std::string home;
  // Directory of the snapshots, and of the coordinator's jobs; made if it does not exist.
  std::string state;
  int apply_threads = 2;
  // MiB for parameters; 0: see ParameterService::Options.
  int parameter_memory = 0;
  // Minutes that a coordinator's jobs wait for a server that they have lost.
  int server_patience = 10;
  // For the coordinator only.
  int max_running_jobs = 4;
  // Ended jobs that are remembered with their snapshots.
  int keep_ended_jobs = 64;
  bool forget_jobs = false;
  // The directory of the exported snapshots of jobs that name none; empty: none.
  std::string snapshots;
  bool allow_plaintext = false;
  // File descriptor that takes "ADDRESS\n" when the server is ready; -1: none.
  int ready_fd = -1;
  std::string log_level = "info";
  std::string log_format = "text";
  bool die_with_parent = false;
};

class CommandLine;

// Adds the program's flags, which fill `flags`.
void AddServerFlags(const StorageTable& storage, CommandLine* line, ServerFlags* flags);

// `storage`: of the homes that may be named. Mistakes are told to `errors`.
Parsed<ServerFlags> ParseServerFlags(int argc, const char* const* argv, const StorageTable& storage,
                                     std::ostream* errors = &std::cerr);

}  // namespace samovar
