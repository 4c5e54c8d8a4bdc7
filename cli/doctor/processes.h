// The processes of this machine as its /proc shows them: which of them serve, and what they hold.
//
// `proc`: the directory /proc, or one of its form. Thread safety: all functions may be called from any thread; they do
// I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/doctor/node_role.h"

namespace samovar {

struct NodeProcess {
  int pid = 0;
  // Its command line.
  std::vector<std::string> words = {};
};

// All whose command line can be read.
std::vector<NodeProcess> ListProcesses(const std::string& proc);

// The process that runs the role with its configuration file. The program's file stands among the words of a loader.
std::optional<NodeProcess> FindService(const NodeRole& role, const std::vector<NodeProcess>& processes);
// Whether the process is that service's.
bool IsService(const NodeRole& role, const NodeProcess& process);

// The process that listens on a TCP port of this machine. Nothing: none does, or this user may not see which.
std::optional<NodeProcess> FindListener(uint16_t port, const std::string& proc);

// How many files the process may open; nothing: this user may not see it.
std::optional<uint64_t> OpenFilesOf(int pid, const std::string& proc);

}  // namespace samovar
