#include "config/worker_flags.h"

#include <limits>

#include "config/command_line.h"

namespace samovar {
namespace {

constexpr char kWorkerDescription[] =
    "Computes gradients for the jobs of a cluster: takes iterations from the coordinator, pulls weights from the "
    "servers and\n"
    "pushes gradients to them. Keeps nothing; any worker can be added or killed at any time.";
constexpr char kExamples[] =
    "Examples:\n"
    "  samovar-worker --coordinator 127.0.0.1:7100 --threads 4\n"
    "  samovar-worker --coordinator 127.0.0.1:7100 --cache cache --cache-bytes 20000000000\n"
    "  samovar-worker --config worker.toml\n"
    "where worker.toml holds the same names without dashes, a line each; flags win over it:\n"
    "  coordinator = \"127.0.0.1:7100\"\n"
    "  threads = 4\n"
    "  channels = 2\n"
    "On one machine, \"samovar train\" starts its workers itself.";

}  // namespace

void AddWorkerFlags(const StorageTable& storage, CommandLine* line, WorkerFlags* flags) {
  CLI::App* app = line->app();
  app->footer(kExamples);
  line->AcceptConfigFile();
  line->Require(app, app->add_option("--coordinator", flags->coordinator,
                                     "Works for the cluster of this coordinator, or of this home: a path or URI, where "
                                     "the coordinator says where it is")
                         ->type_name("HOST:PORT|HOME")
                         ->transform(CoordinatorValidator(storage)));
  app->add_option("--name", flags->name, "Names the worker in the status; otherwise the machine and the process do")
      ->type_name("NAME");
  app->add_option("--threads", flags->threads, "Sets the number of threads that compute")
      ->type_name("N")
      ->check(Between(1, kMaxCount));
  app->add_option(
         "--cache", flags->cache,
         "Copies partitions of partitioned data sets into this directory when they are needed, and reads them "
         "there; several "
         "workers may share it; without it they are read where they lie, or, if that is a cluster's storage, copied "
         "into "
         "SAMOVAR_FILE_CACHE")
      ->type_name("DIR")
      ->transform(LocalPathValidator())
      ->default_str("");
  app->add_option("--cache-bytes", flags->cache_bytes,
                  "With --cache, keeps so many bytes there at most, and removes the least recently used first; must "
                  "have room for a "
                  "partition of each worker that shares the directory")
      ->type_name("N")
      ->default_str("")
      ->check(Between(1, std::numeric_limits<int64_t>::max()));
  app->add_option("--channels", flags->channels, kChannelsHelp)->type_name("N")->check(Between(0, kMaxChannels));
  app->add_option("--http", flags->http,
                  "Serves pages for people and monitors here, in plain text, to all who reach the address: /healthz, "
                  "/readyz, /metrics; \"none\": serves none")
      ->type_name("HOST:PORT|none")
      ->check(HttpValidator());
  AddProcessOptions(app, &flags->ready_fd, &flags->log_level, &flags->log_format, &flags->die_with_parent);
}

Parsed<WorkerFlags> ParseWorkerFlags(int argc, const char* const* argv, const StorageTable& storage,
                                     std::ostream* errors) {
  Parsed<WorkerFlags> parsed;
  WorkerFlags& flags = parsed.flags;
  CommandLine line("samovar-worker", kWorkerDescription, errors);
  AddWorkerFlags(storage, &line, &flags);

  parsed.exit_code = line.Parse(argc, argv);
  if (parsed.exit_code.has_value()) return parsed;
  if (flags.cache.empty() != (flags.cache_bytes == 0)) {
    parsed.exit_code = line.UsageError(
        "--cache DIR and --cache-bytes N go together: where partitions are copied to, and how much at most");
  }
  return parsed;
}

}  // namespace samovar
