// samovar-worker: binds flags to Worker::Options, works until SIGINT or SIGTERM.
// Exit codes: 0 after an orderly end, 1 if the process that started it has gone, or if a file that it reads
// was cut or is damaged beyond what can be survived (the line on stderr names it), 2 for a mistake in the flags or in
// the configuration.

#include <atomic>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/fault_report.h"
#include "common/base/launch.h"
#include "common/base/loader.h"
#include "common/base/open_files.h"
#include "common/base/process_tuning.h"
#include "common/base/signals.h"
#include "common/base/stopper.h"
#include "common/base/version.h"
#include "common/pages/page_server.h"
#include "common/pages/process_pages.h"
#include "common/parameters/parameter_client.h"
#include "common/remote/schemes.h"
#include "common/rpc/grpc_log.h"
#include "common/telemetry/log.h"
#include "common/telemetry/log_format.h"
#include "config/worker_flags.h"
#include "worker/feed/partition_cache.h"
#include "worker/feed/remote_partitions.h"
#include "worker/nn/engine.h"
#include "worker/train/worker.h"

namespace samovar {
namespace {

static_assert(kMaxChannels == ParameterClient::kMaxChannels, "the flag and the client have the same bound");

void Notify(absl::string_view lines) {
  if (const absl::Status status = NotifyManager(lines); !status.ok()) LogWarning(status.message());
}

int Run(int argc, char** argv) {
  const StorageTable storage = ProgramStorage();
  const Parsed<WorkerFlags> parsed = ParseWorkerFlags(argc, argv, storage);
  if (parsed.exit_code.has_value()) return *parsed.exit_code;
  const WorkerFlags& flags = parsed.flags;
  if (const absl::Status status = InitLogging({"worker", flags.log_level, flags.log_format}); !status.ok()) {
    std::fprintf(stderr, "samovar-worker: %s\n", std::string(status.message()).c_str());
    return 2;
  }
  ReportFaults("samovar-worker", 1);
  if (const absl::Status status = RaiseOpenFileLimit(); !status.ok()) {
    LogError(status.message());
    return 2;
  }
  Stopper stopper;
  const SignalWatcher signals([&stopper](int) { stopper.Stop(); });
  if (flags.die_with_parent) EndWithParent();
  TuneProcess();
  RouteGrpcLog();

  std::unique_ptr<PartitionCache> cache;
  RemotePartitions remote(storage);
  if (!flags.cache.empty()) {
    PartitionCache::Options cache_options;
    cache_options.directory = flags.cache;
    cache_options.bytes = flags.cache_bytes;
    cache_options.storage = storage;
    absl::StatusOr<std::unique_ptr<PartitionCache>> created = PartitionCache::Create(cache_options);
    if (!created.ok()) {
      LogError(absl::StrCat("--cache: ", created.status().message()));
      return 2;
    }
    cache = *std::move(created);
  }

  std::atomic<int> exit_code{0};
  Worker::Options options;
  options.coordinator = flags.coordinator;
  options.name = flags.name;
  options.threads = flags.threads;
  options.partitions = cache != nullptr ? static_cast<PartitionSource*>(cache.get()) : &remote;
  if (cache != nullptr) options.cache_bytes = [&cache] { return cache->held_bytes(); };
  options.channels = flags.channels;
  options.storage = storage;
  options.on_joined = [&] {
    if (const absl::Status status = ReportReady(flags.ready_fd, "ok"); !status.ok()) {
      LogError(status.message());
      exit_code = 1;
      stopper.Stop();
    }
    Notify(absl::StrCat("READY=1\nSTATUS=works for ", flags.coordinator));
  };
  SetLogMember("worker", Worker::NameOf(options));
  LogInfo(absl::StrCat("version ", Version(), ", ", EngineLevel(), ", ", flags.threads, " threads, coordinator ",
                       flags.coordinator));
  Notify(absl::StrCat("STATUS=joins ", flags.coordinator));
  Worker worker(options);
  std::unique_ptr<PageServer> http;
  if (flags.http != "none") {
    absl::StatusOr<std::unique_ptr<PageServer>> started =
        PageServer::Start(flags.http, PagesOf({&worker.metrics(), [&worker] { return worker.UnreadyText(); }}));
    if (!started.ok()) {
      LogError(absl::StrCat("--http: ", started.status().message()));
      return 1;
    }
    http = *std::move(started);
    worker.Announce(http->address());
    LogInfo(absl::StrCat("pages at http://", http->address(), "/"));
  }
  std::thread runner([&worker] { worker.Run(); });
  FollowStatus(stopper, kStatusInterval, [&worker] { return worker.StatusText(); });
  LogInfo("stops");
  Notify("STOPPING=1\nSTATUS=stops");
  worker.Stop();
  // A copy may take long, and so may a storage.
  storage.Stop();
  if (cache != nullptr) cache->Stop();
  remote.Stop();
  runner.join();
  return exit_code;
}

}  // namespace
}  // namespace samovar

int main(int argc, char** argv) {
  if (const absl::Status status = samovar::KeepToInstructionSet(samovar::EngineLevel(), argv); !status.ok()) {
    std::fprintf(stderr, "samovar-worker: %s\n", std::string(status.message()).c_str());
    return 2;
  }
  return samovar::Run(argc, argv);
}
