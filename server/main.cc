// samovar-server: binds flags to Server::Options, serves until SIGINT or SIGTERM.
// It ends within 10 s, and saves running jobs in that time, as far as it can.
// Exit codes: 0 after an orderly end, 1 if it could not start, if a file that it has mapped cannot be
// read any more (the line on stderr names it), or if that time was too short to save all,
// 2 for a mistake in the flags or in the configuration, 3 after an orderly end because another coordinator has taken
// the cluster over.

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/fault_report.h"
#include "common/base/launch.h"
#include "common/base/memory_limit.h"
#include "common/base/open_files.h"
#include "common/base/process_tuning.h"
#include "common/base/signals.h"
#include "common/base/stopper.h"
#include "common/remote/schemes.h"
#include "common/rpc/grpc_log.h"
#include "common/telemetry/log.h"
#include "common/telemetry/log_format.h"
#include "config/server_flags.h"
#include "server/server.h"

namespace samovar {
namespace {

// An orderly end takes no longer than this, whatever its models' sizes: a service manager that sends SIGTERM sends
// SIGKILL after a while.
constexpr absl::Duration kEndLimit = absl::Seconds(9);
// A storage that does not answer is waited for no longer than this of it, so that the jobs can be saved here.
constexpr absl::Duration kStorageLimit = absl::Seconds(4);

// Not to be started again by itself: it would take the cluster from its successor.
constexpr int kExitReplaced = 3;

void Notify(absl::string_view lines) {
  if (const absl::Status status = NotifyManager(lines); !status.ok()) LogWarning(status.message());
}

int Run(int argc, char** argv) {
  const StorageTable storage = ProgramStorage();
  const Parsed<ServerFlags> parsed = ParseServerFlags(argc, argv, storage);
  if (parsed.exit_code.has_value()) return *parsed.exit_code;
  const ServerFlags& flags = parsed.flags;
  if (const absl::Status status = InitLogging({"server", flags.log_level, flags.log_format}); !status.ok()) {
    std::fprintf(stderr, "samovar-server: %s\n", std::string(status.message()).c_str());
    return 2;
  }
  ReportFaults("samovar-server", 1);
  if (const absl::Status status = RaiseOpenFileLimit(); !status.ok()) {
    LogError(status.message());
    return 2;
  }
  Stopper stopper;
  const SignalWatcher signals([&stopper](int) { stopper.Stop(); });
  if (flags.die_with_parent) EndWithParent();
  TuneProcess();
  RouteGrpcLog();

  Server::Options options;
  options.listen = flags.listen;
  options.advertise = flags.advertise;
  if (flags.http != "none") options.http = flags.http;
  options.is_coordinator = flags.coordinator;
  options.join = flags.join;
  options.home = flags.home;
  std::atomic<bool> replaced{false};
  options.on_replaced = [&] {
    replaced = true;
    stopper.Stop();
  };
  options.state_dir = flags.state;
  options.apply_threads = flags.apply_threads;
  const MemoryLimit memory = FindMemoryLimit();
  options.max_parameter_bytes =
      flags.parameter_memory > 0 ? static_cast<uint64_t>(flags.parameter_memory) << 20 : memory.bytes / 4 * 3;
  LogInfo(absl::StrCat(
      "holds up to ", options.max_parameter_bytes >> 20, " MiB of parameters, ",
      flags.parameter_memory > 0 ? "as --parameter-memory says" : "three quarters of what this process may have", ": ",
      memory.by, " sets ", memory.bytes >> 20, " MiB"));
  options.server_patience = absl::Minutes(flags.server_patience);
  options.max_running_jobs = flags.max_running_jobs;
  options.keep_ended_jobs = flags.keep_ended_jobs;
  options.snapshots = flags.snapshots;
  options.forget_jobs = flags.forget_jobs;
  options.allow_plaintext = flags.allow_plaintext;
  options.storage = storage;
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(options);
  if (!server.ok()) {
    LogError(server.status().message());
    return absl::IsInvalidArgument(server.status()) ? 2 : 1;
  }
  SetLogMember("server", (*server)->address());
  LogInfo(absl::StrCat("serves at ", (*server)->address(), flags.coordinator ? " as the coordinator" : "",
                       ", state in ", flags.state, ", ", flags.apply_threads, " apply threads",
                       (*server)->http().empty() ? "" : absl::StrCat(", pages at http://", (*server)->http(), "/")));
  if (const absl::Status status = ReportReady(flags.ready_fd, (*server)->address()); !status.ok()) {
    LogError(status.message());
    return 1;
  }
  Notify(absl::StrCat("READY=1\nSTATUS=serves at ", (*server)->address()));
  FollowStatus(stopper, kStatusInterval, [&server] { return (*server)->StatusText(); });
  LogInfo("stops");
  Notify("STOPPING=1\nSTATUS=stops");
  // A snapshot that is being written then is dropped whole.
  Stopper ended;
  std::thread limit([&ended, &storage] {
    if (ended.WaitFor(kStorageLimit)) return;
    storage.Stop();
    if (ended.WaitFor(kEndLimit - kStorageLimit)) return;
    LogWarning(absl::StrCat("still not done after ", absl::FormatDuration(kEndLimit),
                            ": ends at once; unsaved iterations are computed again from the last snapshots"));
    std::_Exit(1);
  });
  (*server)->Shutdown();
  ended.Stop();
  limit.join();
  return replaced ? kExitReplaced : 0;
}

}  // namespace
}  // namespace samovar

int main(int argc, char** argv) { return samovar::Run(argc, argv); }
