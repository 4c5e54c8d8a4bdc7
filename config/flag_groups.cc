#include "config/flag_groups.h"

#include <algorithm>
#include <string>
#include <vector>

namespace samovar {
namespace {

struct Group {
  const char* title;
  std::vector<const char*> names;
};

constexpr char kInput[] = "What is read";
constexpr char kOutput[] = "What is written";

// A flag of one name is in one group, whichever command has it.
const std::vector<Group>& FlagGroups() {
  static const std::vector<Group> groups = {
      {"Where training begins", {"snapshot", "resume", "restart", "restore"}},
      {kInput,
       {"solver", "model", "data",   "stage", "level",   "test-all", "phase", "shape", "images",  "labels", "input",
        "list",   "root",  "resize", "gray",  "shuffle", "verify",   "quick", "file",  "storage", "from",   "records"}},
      {kOutput,
       {"output", "partitions", "encoded", "force", "blobs", "label", "features", "features-model", "iteration",
        "recursive", "print", "check", "export-snapshots", "keep-snapshots", "log"}},
      {"How iterations follow each other",
       {"mode", "delay", "parts", "push-every", "staleness-scaling", "delay-compensation", "on-numeric-failure"}},
      {"What travels between machines", {"encoding", "topk-ratio", "channels"}},
      {"Cluster",
       {"coordinator", "join", "home", "listen", "advertise", "servers", "workers", "weight", "name", "server-patience",
        "max-running-jobs", "keep-ended-jobs", "forget-jobs", "snapshots", "keep"}},
      {"This machine",
       {"threads", "apply-threads", "parameter-memory", "cache", "cache-bytes", "state", "config", "user", "iterations",
        "ready-fd", "die-with-parent"}},
      {"YARN",
       {"resource-manager", "server-cpus", "worker-cpus", "server-memory", "worker-memory", "bundle", "hadoop-conf",
        "queue", "lifetime", "spread", "application", "bytes"}},
      {"Machines that are planned for", {"vm", "network", "latency", "one-machine", "images-per-second", "profile"}},
      {"Monitoring",
       {"json", "csv", "points", "tensorboard", "watch", "follow", "plain", "dashboard", "worker", "server", "lines",
        "memory", "http", "log-level", "log-format"}},
      {"Security", {"allow-plaintext", "principal", "keytab"}},
  };
  return groups;
}

// A command that trains begins with these; others only read them.
bool IsBeginning(const std::string& name) { return name == "weights" || name == "seed"; }

const std::vector<Group>& CommandGroups() {
  static const std::vector<Group> groups = {
      {"Nets on this machine", {"train", "check", "test", "features", "time", "plan"}},
      {"Jobs of a cluster",
       {"submit", "jobs", "status", "watch", "logs", "cancel", "forget", "history", "plot", "model", "snapshot"}},
      {"Data and files", {"data", "fs"}},
      {"Machines", {"yarn", "doctor", "version", "completion"}},
  };
  return groups;
}

std::string GroupOf(const std::string& name, const std::vector<Group>& groups, const char* otherwise) {
  for (const Group& group : groups) {
    if (std::find(group.names.begin(), group.names.end(), name) != group.names.end()) return group.title;
  }
  return otherwise;
}

}  // namespace

void GroupFlags(CLI::App* command) {
  const bool trains = command->get_option_no_throw("--solver") != nullptr;
  for (CLI::Option* option : command->get_options()) {
    if (option->get_lnames().empty() || option->get_group().empty()) continue;
    const std::string& name = option->get_lnames().front();
    option->group(IsBeginning(name) ? (trains ? FlagGroups()[0].title : kInput)
                                    : GroupOf(name, FlagGroups(), kOtherFlags));
  }
  const bool is_program = command->get_parent() == nullptr;
  for (CLI::App* below : command->get_subcommands([](CLI::App*) { return true; })) {
    below->group(is_program ? GroupOf(below->get_name(), CommandGroups(), "Commands") : "Commands");
    GroupFlags(below);
  }
}

}  // namespace samovar
