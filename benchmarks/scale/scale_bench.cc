// Sweeps the model of a cluster (cli/plan): images a second of a job with many numbers of workers and servers,
// networks, modes and encodings. A line of CSV for each point; README.md has the pictures.
//
//     scale_bench --solver config/models/lenet/lenet_solver.prototxt --shape 1x28x28 [--vm D4s_v5] [--profile FILE]
//                 [--workers 1,2,4] [--servers 1,2] [--networks 1gbit,10gbit] [--modes async,sync,bounded]
//                 [--encodings float32,int8] [--images_per_second 1000] [--jitter 0.05] [--slow_workers 1]
#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/plan/training_run.h"
#include "cli/read_job_shape.h"
#include "common/base/loader.h"
#include "common/base/status_macros.h"
#include "common/model/consistency.h"
#include "common/remote/schemes.h"
#include "common/storage/storage_table.h"
#include "worker/nn/engine.h"

using Words = std::vector<std::string>;

ABSL_FLAG(std::string, solver, "", "the job");
ABSL_FLAG(std::string, shape, "", "its records' shape, CxHxW");
ABSL_FLAG(std::string, vm, "D4s_v5", "the kind of the machines");
ABSL_FLAG(std::string, profile, "", "costs, instead of the built-in ones");
ABSL_FLAG(Words, workers, Words({"1", "2", "4", "8", "16", "32", "64", "128", "256", "512", "1000"}), "numbers");
ABSL_FLAG(Words, servers, Words({"1", "2", "4", "8", "16", "32", "64"}), "numbers");
ABSL_FLAG(Words, networks, Words({"10gbit"}), "speeds");
ABSL_FLAG(Words, modes, Words({"async"}), "async, bounded, sync");
ABSL_FLAG(Words, encodings, Words({"float32"}), "float32, bfloat16, float16, int8, topk");
ABSL_FLAG(double, images_per_second, 0, "of one thread; 0: measured");
ABSL_FLAG(uint32_t, push_every, 1, "iterations a push");
ABSL_FLAG(double, jitter, -1, "deviation of the logarithm of compute times; below 0: the profile's");
ABSL_FLAG(uint32_t, slow_workers, 0, "so many workers are slower");
ABSL_FLAG(double, slowness, 2, "so many times");
ABSL_FLAG(double, worker_fails_after, 0, "seconds after which a worker dies, on average; 0: never");
ABSL_FLAG(double, worker_back_after, 30, "seconds after which it is back");

namespace samovar {
namespace {

constexpr uint64_t kMaxProfileBytes = 1 << 20;

absl::StatusOr<std::vector<uint32_t>> Numbers(const Words& words) {
  std::vector<uint32_t> numbers;
  for (const std::string& word : words) {
    uint32_t number = 0;
    if (!absl::SimpleAtoi(word, &number) || number < 1)
      return absl::InvalidArgumentError(absl::StrCat("\"", word, "\" is not a number of processes"));
    numbers.push_back(number);
  }
  return numbers;
}

struct Sweep {
  JobShape job;
  Profile profile;
  Machine machine;
};

void Print(const Sweep& sweep, const std::string& network, const JobChoices& choices, const ClusterSpec& cluster) {
  const RunOutcome outcome = SimulateTraining(sweep.job, choices, cluster, sweep.profile.costs);
  const Load* fullest = nullptr;
  for (const Load& load : outcome.loads) {
    if (fullest == nullptr || load.used > fullest->used) fullest = &load;
  }
  std::cout << absl::StrFormat(
                   "%s,%d,%s,%s,%s,%d,%d,%d,%.3f,%.4f,%.2f,\"%s\",%.3f\n", sweep.job.name, sweep.job.parameters(),
                   network, ModeName(choices.mode), EncodingName(choices.encoding), choices.push_every, cluster.workers,
                   cluster.servers, outcome.images_per_second, outcome.iterations_per_second, outcome.staleness,
                   fullest == nullptr ? "" : std::string(fullest->resource), fullest == nullptr ? 0 : fullest->used)
            << std::flush;
}

JobChoices ChoicesOf(const Sweep& sweep, const std::string& mode, const std::string& encoding, uint32_t workers) {
  JobChoices choices;
  choices.mode = ModeOf(mode);
  choices.encoding = EncodingOf(encoding);
  choices.delay = 4;
  choices.parts = PartsFor(sweep.job.batch, workers);
  choices.push_every = absl::GetFlag(FLAGS_push_every);
  return choices;
}

ClusterSpec ClusterOf(const Sweep& sweep, uint32_t workers, uint32_t servers) {
  ClusterSpec cluster;
  cluster.workers = workers;
  cluster.servers = servers;
  cluster.worker_machine = cluster.server_machine = sweep.machine;
  cluster.worker_threads = static_cast<uint32_t>(sweep.machine.threads);
  cluster.apply_threads = std::max(1u, cluster.worker_threads / 2);
  cluster.latency_seconds = 50e-6;
  cluster.slow_workers = absl::GetFlag(FLAGS_slow_workers);
  cluster.slowness = absl::GetFlag(FLAGS_slowness);
  cluster.worker_fails_after = absl::GetFlag(FLAGS_worker_fails_after);
  cluster.worker_back_after = absl::GetFlag(FLAGS_worker_back_after);
  return cluster;
}

absl::Status Run() {
  const StorageTable storage = ProgramStorage({}, [](const std::string&) {});
  Sweep sweep;
  sweep.profile = BuiltInProfile();
  if (const std::string file = absl::GetFlag(FLAGS_profile); !file.empty()) {
    SAMOVAR_ASSIGN_OR_RETURN(const std::string text, storage.ReadBytes(file, kMaxProfileBytes));
    SAMOVAR_ASSIGN_OR_RETURN(sweep.profile, ParseProfile(text));
  }
  if (absl::GetFlag(FLAGS_jitter) >= 0) sweep.profile.costs.jitter = absl::GetFlag(FLAGS_jitter);
  SAMOVAR_ASSIGN_OR_RETURN(sweep.machine, FindMachine(absl::GetFlag(FLAGS_vm)));
  JobShapeOptions options;
  options.solver = absl::GetFlag(FLAGS_solver);
  options.shape = absl::GetFlag(FLAGS_shape);
  options.images_per_second = absl::GetFlag(FLAGS_images_per_second);
  options.peak_flops = sweep.profile.peak_flops;
  options.storage = storage;
  SAMOVAR_ASSIGN_OR_RETURN(sweep.job, ReadJobShape(options));
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<uint32_t> workers, Numbers(absl::GetFlag(FLAGS_workers)));
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<uint32_t> servers, Numbers(absl::GetFlag(FLAGS_servers)));
  std::cerr << absl::StrFormat("%s: %.1f images/s of one thread\n", sweep.job.name,
                               static_cast<double>(sweep.job.images()) / sweep.job.IterationSeconds());
  std::cout
      << "net,parameters,network,mode,encoding,push_every,workers,servers,images_per_second,iterations_per_second,"
         "staleness,fullest,used\n";
  for (const std::string& network : absl::GetFlag(FLAGS_networks)) {
    SAMOVAR_ASSIGN_OR_RETURN(sweep.machine.network, ParseNetwork(network));
    for (const std::string& mode : absl::GetFlag(FLAGS_modes)) {
      for (const std::string& encoding : absl::GetFlag(FLAGS_encodings)) {
        for (const uint32_t worker_count : workers) {
          for (const uint32_t server_count : servers) {
            Print(sweep, network, ChoicesOf(sweep, mode, encoding, worker_count),
                  ClusterOf(sweep, worker_count, server_count));
          }
        }
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace samovar

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  absl::Status status = samovar::KeepToInstructionSet(samovar::EngineLevel(), argv);
  if (status.ok()) status = samovar::Run();
  if (status.ok()) return 0;
  std::cerr << "scale_bench: " << status.message() << "\n";
  return 1;
}
