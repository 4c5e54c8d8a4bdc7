// `samovar doctor`: finds why this machine does not do its part of a cluster.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/doctor/check_disk.h"
#include "cli/doctor/check_machine.h"
#include "cli/doctor/check_network.h"
#include "cli/doctor/check_storage.h"
#include "cli/doctor/processes.h"
#include "cli/report/exit_codes.h"
#include "cli/run/job_client.h"
#include "common/base/memory_limit.h"
#include "common/base/stopper.h"
#include "common/home/cluster_home.h"
#include "common/remote/hadoop_configuration.h"
#include "worker/nn/engine.h"

namespace samovar {
namespace {

constexpr char kProc[] = "/proc";
// The temporary disk of Azure's machines.
constexpr char kEphemeral[] = "/mnt/resource";
// All that asks storages ends in this time.
constexpr absl::Duration kStorageLimit = absl::Seconds(45);

std::string HostName() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "localhost";
}

// Prints findings as they come, and remembers the worst.
class Report {
 public:
  explicit Report(bool json) : json_(json) {}

  void Add(const Finding& finding) {
    is_wrong_ = is_wrong_ || finding.level == Finding::Level::kWrong;
    std::cout << (json_ ? FindingJson(finding) : FindingLine(finding)) << std::endl;
  }
  void AddAll(const std::vector<Finding>& findings) {
    for (const Finding& finding : findings) Add(finding);
  }
  bool is_wrong() const { return is_wrong_; }

 private:
  const bool json_;
  bool is_wrong_ = false;
};

void CheckConfigurations(const DoctorOptions& options, Report* report) {
  if (options.roles.empty()) {
    report->Add(Warning("configuration",
                        absl::StrCat("no coordinator.toml, server.toml or worker.toml is in ", options.config,
                                     ": no role is installed on this machine"),
                        "install one (deploy/hdinsight/install.sh), or name their directory with --config"));
  }
  for (const NodeRole& role : options.roles) {
    report->Add(role.error.empty() ? Ok("configuration", absl::StrCat(role.file, " is accepted"))
                                   : Wrong("configuration", role.error, "mend the file, and start the service again"));
  }
}

void CheckServices(const std::vector<NodeRole>& roles, Report* report) {
  const std::vector<NodeProcess> processes = ListProcesses(kProc);
  bool has_service = false;
  for (const NodeRole& role : roles) {
    const std::optional<NodeProcess> process = FindService(role, processes);
    const std::string what = absl::StrCat("service ", role.role);
    if (!process.has_value()) {
      report->Add(Warning(what, "it does not run",
                          absl::StrCat("systemctl start ", role.unit(), "; its log: journalctl -u ", role.unit())));
      continue;
    }
    report->Add(Ok(what, absl::StrCat("it runs as process ", process->pid)));
    const std::optional<uint64_t> files = OpenFilesOf(process->pid, kProc);
    if (!files.has_value()) continue;
    has_service = true;
    report->Add(CheckOpenFiles(absl::StrCat("the ", role.role, "'s process ", process->pid), *files));
  }
  rlimit limit{};
  if (!has_service && getrlimit(RLIMIT_NOFILE, &limit) == 0) report->Add(CheckOpenFiles("this user", limit.rlim_max));
}

void CheckMachine(const DoctorOptions& options, Report* report) {
  report->Add(CheckClockSynchronised());
  report->Add(CheckLevel(EngineLevel()));
  MachineMemory memory;
  memory.machine_bytes = MachineMemoryBytes();
  memory.limit_bytes = MemoryLimitBytes();
  const absl::StatusOr<HadoopConfiguration> hadoop = HadoopConfiguration::Load();
  if (!hadoop.ok()) {
    report->Add(Wrong("Hadoop's configuration", std::string(hadoop.status().message()), "mend the file"));
  } else if (uint64_t mebibytes = 0; absl::SimpleAtoi(hadoop->Get("yarn.nodemanager.resource.memory-mb"), &mebibytes)) {
    memory.yarn_mebibytes = mebibytes;
  }
  report->Add(CheckMemory(options.roles, memory));
  const std::optional<ServiceUser> user = FindUser(options.user);
  for (const NodeRole& role : options.roles) report->AddAll(CheckDisks(role, user, kEphemeral));
}

// The coordinators' places that the flags and the services name, each once.
std::vector<std::string> CoordinatorsOf(const DoctorOptions& options) {
  if (!options.coordinator.empty()) return {options.coordinator};
  std::set<std::string> places;
  for (const NodeRole& role : options.roles) {
    if (role.error.empty()) places.insert(role.coordinator);
  }
  return {places.begin(), places.end()};
}

void CheckCluster(const DoctorOptions& options, Report* report) {
  report->Add(CheckOwnName(HostName(), ResolveHost));
  for (const NodeRole& role : options.roles) {
    if (role.error.empty() && !role.is_worker()) report->Add(CheckPort(role, kProc));
  }
  for (const std::string& place : CoordinatorsOf(options)) {
    if (!ClusterHome::IsHome(place)) {
      const Finding name = CheckCoordinatorName(place, ResolveHost);
      report->Add(name);
      if (name.level == Finding::Level::kWrong) continue;
    }
    ClusterOptions cluster = options;
    cluster.coordinator = place;
    const absl::Time before = absl::Now();
    const absl::StatusOr<v1::ClusterStatus> status = JobClient(cluster, /*is_patient=*/true).ClusterStatus();
    const absl::Time after = absl::Now();
    report->AddAll(CheckCoordinator(place, status));
    if (!status.ok() || status->unix_ms() == 0) continue;
    // Between the two moments the coordinator looked at its clock.
    const absl::Time there = absl::FromUnixMillis(static_cast<int64_t>(status->unix_ms()));
    const absl::Duration off = there < before ? before - there : there > after ? after - there : absl::ZeroDuration();
    report->Add(CheckClockOffset("the coordinator", off));
  }
}

void CheckStorages(const DoctorOptions& options, Report* report) {
  // And whether services write there.
  std::set<std::pair<std::string, bool>> uris;
  if (!options.storage_uri.empty()) uris.insert({options.storage_uri, false});
  for (const NodeRole& role : options.roles) {
    for (const std::string& uri : {role.home, role.snapshots}) {
      if (!uri.empty()) uris.insert({uri, true});
    }
    if (ClusterHome::IsHome(role.coordinator) && role.home.empty()) uris.insert({role.coordinator, false});
  }
  for (const auto& [uri, writes] : uris) {
    const Finding finding = CheckStorage(uri, writes, options.storage);
    report->Add(finding);
    const std::optional<absl::Duration> off = StorageClockOffset(uri);
    if (off.has_value()) report->Add(CheckClockOffset(absl::StrCat("the storage of ", uri), *off));
  }
}

}  // namespace

int RunDoctor(const DoctorOptions& options) {
  Report report(options.json);
  CheckConfigurations(options, &report);
  CheckServices(options.roles, &report);
  CheckMachine(options, &report);
  // A storage that does not answer is waited for no longer than this.
  Stopper done;
  std::thread limit([&] {
    if (!done.WaitFor(kStorageLimit)) options.storage.Stop();
  });
  CheckCluster(options, &report);
  CheckStorages(options, &report);
  done.Stop();
  limit.join();
  return report.is_wrong() ? kExitFailed : kExitOk;
}

}  // namespace samovar
