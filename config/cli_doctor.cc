// The command that looks at this machine, and the services' configurations that it looks at.
#include <array>
#include <filesystem>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "config/command_tree.h"
#include "config/server_flags.h"
#include "config/worker_flags.h"

namespace samovar {
namespace {

constexpr char kExamples[] =
    "One line a check: ok, warning or wrong, what was looked at, the fact, and what to do. It looks at the "
    "configurations and services\n"
    "of this machine, their ports and directories, names, the coordinator and its version, clocks, memory beside "
    "YARN's "
    "share, the CPU's\n"
    "level, open files and storage. Run it as the user of the services, who must find the credentials of the storage; "
    "root sees more of\n"
    "other processes. Exit codes: 0 nothing is wrong, 1 something is, 2 wrong flags.\n"
    "Examples:\n"
    "  samovar doctor\n"
    "  samovar doctor --coordinator hn0-mycluster:7400 --storage wasbs:///samovar --json\n"
    "  sudo -u samovar /opt/samovar/current/bin/samovar doctor";

// "samovar-server: error: MESSAGE" and another line.
std::string MessageIn(const std::string& errors) {
  const std::string line = errors.substr(0, errors.find('\n'));
  const size_t colon = line.find(": error: ");
  return colon == std::string::npos ? line : line.substr(colon + 9);
}

NodeRole RoleOfServer(const std::string& file, const std::string& name, const StorageTable& storage) {
  NodeRole role;
  role.role = name;
  role.file = file;
  const std::array<const char*, 3> words = {"samovar-server", "--config", file.c_str()};
  std::ostringstream errors;
  const Parsed<ServerFlags> parsed = ParseServerFlags(static_cast<int>(words.size()), words.data(), storage, &errors);
  if (parsed.exit_code.has_value()) {
    role.error = MessageIn(errors.str());
    return role;
  }
  const ServerFlags& flags = parsed.flags;
  role.listen = flags.listen;
  role.advertise = flags.advertise;
  role.coordinator = !flags.coordinator ? flags.join : flags.advertise.empty() ? flags.listen : flags.advertise;
  role.home = flags.home;
  role.snapshots = flags.snapshots;
  role.state = flags.state;
  role.parameter_bytes = static_cast<uint64_t>(flags.parameter_memory) << 20;
  return role;
}

NodeRole RoleOfWorker(const std::string& file, const StorageTable& storage) {
  NodeRole role;
  role.role = "worker";
  role.file = file;
  const std::array<const char*, 3> words = {"samovar-worker", "--config", file.c_str()};
  std::ostringstream errors;
  const Parsed<WorkerFlags> parsed = ParseWorkerFlags(static_cast<int>(words.size()), words.data(), storage, &errors);
  if (parsed.exit_code.has_value()) {
    role.error = MessageIn(errors.str());
    return role;
  }
  role.coordinator = parsed.flags.coordinator;
  role.cache = parsed.flags.cache;
  role.cache_bytes = parsed.flags.cache_bytes;
  return role;
}

}  // namespace

void CommandTree::AddDoctor() {
  doctor_ =
      line.AddCommand(line.app(), "doctor", "Says what keeps this machine from doing its part of a cluster", kExamples);
  doctor_
      ->add_option("--config", doctor.config,
                   "Takes coordinator.toml, server.toml and worker.toml of this directory for the services of this "
                   "machine")
      ->type_name("DIR")
      ->transform(LocalPathValidator());
  doctor_
      ->add_option("--coordinator", doctor.coordinator,
                   "Asks this coordinator, or the one of this home, instead of those that the services name")
      ->type_name("HOST:PORT|HOME")
      ->transform(CoordinatorValidator(storage_));
  doctor_->add_option("--storage", doctor.storage_uri, "Lists this directory, too")
      ->type_name("URI")
      ->transform(StoredPathValidator(storage_));
  doctor_->add_option("--user", doctor.user, "Takes this user for the services'")->type_name("NAME");
  doctor_->add_flag("--json", doctor.json, "Prints one JSON object a check");
}

std::optional<int> CommandTree::ReadRoles() {
  if (line.command() != doctor_) return std::nullopt;
  for (const char* const name : {"coordinator", "server", "worker"}) {
    const std::string file = absl::StrCat(absl::StripSuffix(doctor.config, "/"), "/", name, ".toml");
    std::error_code ignored;
    if (!std::filesystem::exists(file, ignored)) continue;
    doctor.roles.push_back(absl::string_view(name) == "worker" ? RoleOfWorker(file, storage_)
                                                               : RoleOfServer(file, name, storage_));
  }
  if (!doctor.roles.empty() || doctor_->count("--config") == 0) return std::nullopt;
  return line.UsageError(
      absl::StrCat("--config: there is no coordinator.toml, server.toml or worker.toml in ", doctor.config));
}

}  // namespace samovar
