// How much of a worker's speed is left when its weights come from a parameter server: images a second through the
// server, beside the same worker that only computes, in the same run.
//
//     overlap_bench [--nets lenet,cifar10_quick] [--encodings float32,bfloat16] [--rounds 7] [--seconds 1] [--timeline]
//                   [--json]
//     overlap_bench --server_address 10.0.0.2:7100    the server runs already, behind a slower link say
//
// The worker has one processor, the server another. README.md says what the columns are.
#include <sched.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "benchmarks/support/server_process.h"
#include "benchmarks/support/training_nets.h"
#include "common/base/clock.h"
#include "common/base/loader.h"
#include "common/base/process_tuning.h"
#include "common/base/status_macros.h"
#include "common/base/thread_pool.h"
#include "common/model/consistency.h"
#include "common/parameters/encoding.h"
#include "common/parameters/parameter_client.h"
#include "common/rpc/dialer.h"
#include "common/telemetry/log.h"
#include "worker/nn/engine.h"
#include "worker/nn/net.h"

ABSL_FLAG(std::string, server, "build/release/bin/samovar-server", "the server's program");
ABSL_FLAG(std::string, server_address, "", "uses the server that listens here instead of starting one");
ABSL_FLAG(std::vector<std::string>, nets, std::vector<std::string>({"lenet", "cifar10_quick"}), "lenet, cifar10_quick");
ABSL_FLAG(std::vector<std::string>, encodings, std::vector<std::string>({"float32", "bfloat16"}),
          "how gradients and weights travel: float32, bfloat16, float16, int8");
ABSL_FLAG(int, batch, 64, "records of an iteration");
ABSL_FLAG(int, rounds, 7, "turns of each way");
ABSL_FLAG(double, seconds, 1, "length of a turn");
ABSL_FLAG(bool, timeline, false, "also prints when in an iteration what happens, on average");
ABSL_FLAG(bool, json, false, "prints one JSON object instead of a table");

namespace samovar {
namespace {

enum class Way {
  // Forward and backward, with the weights that are there.
  kAlone,
  // As the worker does: gradients leave while backward runs, new weights come meanwhile.
  kByLayer,
  // Gradients leave when all are there.
  kWhole
};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Moments of an iteration in seconds from its beginning, summed over the iterations.
struct Timeline {
  int iterations = 0;
  double forward = 0;
  // One a call of Backward's callback.
  std::vector<double> ready;
  std::vector<uint64_t> ready_floats;
  double backward = 0;
  double end = 0;
};

class Worker {
 public:
  static absl::StatusOr<std::unique_ptr<Worker>> Create(const TrainingNet& training, const std::string& job_id,
                                                        ServerProcess* server, v1::Encoding encoding,
                                                        ThreadPool* pool) {
    auto worker = std::make_unique<Worker>();
    SAMOVAR_ASSIGN_OR_RETURN(worker->net_, MakeNet(training, absl::GetFlag(FLAGS_batch), pool));
    caffe::SolverParameter solver = training.solver;
    solver.set_max_iter(1 << 30);
    const v1::ParameterLayout& layout = worker->net_->layout();
    SAMOVAR_ASSIGN_OR_RETURN(const uint32_t chunk_elements, server->Open(job_id, layout, solver));
    ParameterClient::Options options{job_id, layout.elements(), chunk_elements, {server->address()}};
    options.encoding = encoding;
    SAMOVAR_ASSIGN_OR_RETURN(worker->parameters_, ParameterClient::Create(options, Dialer(RpcOptions())));
    SAMOVAR_RETURN_IF_ERROR(worker->parameters_->Pull(worker->net_->weights(), Soon()));
    return worker;
  }

  absl::Status Step(Way way, Timeline* timeline) {
    const absl::Time start = SteadyNow();
    const auto since_start = [start] { return absl::ToDoubleSeconds(SteadyNow() - start); };
    SAMOVAR_RETURN_IF_ERROR(net_->Forward(iteration_, 1));
    timeline->forward += since_start();
    if (way == Way::kByLayer) StartPush();
    size_t call = 0;
    SAMOVAR_RETURN_IF_ERROR(net_->Backward([&](uint64_t begin, uint64_t end) {
      if (call == timeline->ready.size()) {
        timeline->ready.push_back(0);
        timeline->ready_floats.push_back(end - begin);
      }
      timeline->ready[call++] += since_start();
      if (way == Way::kByLayer) parameters_->Ready(begin, end);
    }));
    timeline->backward += since_start();
    if (way == Way::kWhole) {
      StartPush();
      parameters_->Ready(0, parameters_->elements());
    }
    if (way != Way::kAlone) SAMOVAR_RETURN_IF_ERROR(parameters_->AwaitPush(Soon()).status());
    timeline->end += since_start();
    ++timeline->iterations;
    ++iteration_;
    return absl::OkStatus();
  }

 private:
  static WaitLimit Soon() { return {SteadyNow() + absl::Seconds(120), nullptr}; }
  void StartPush() { parameters_->StartPush(iteration_, ServerProcess::kEpoch, net_->gradients(), net_->weights()); }

  std::unique_ptr<Net> net_;
  std::unique_ptr<ParameterClient> parameters_;
  uint64_t iteration_ = 0;
};

struct Measured {
  std::vector<double> images_per_second;
  // Of the worker alone in the same round.
  std::vector<double> ratios;
  Timeline timeline;
};

absl::StatusOr<double> Turn(Worker* worker, Way way, Timeline* timeline) {
  const absl::Time start = SteadyNow();
  const absl::Time end = start + absl::Seconds(absl::GetFlag(FLAGS_seconds));
  int steps = 0;
  do {
    SAMOVAR_RETURN_IF_ERROR(worker->Step(way, timeline));
    ++steps;
  } while (SteadyNow() < end);
  return steps * absl::GetFlag(FLAGS_batch) / absl::ToDoubleSeconds(SteadyNow() - start);
}

void PrintTimeline(const std::string& name, const Timeline& timeline) {
  const auto milliseconds = [&](double seconds) {
    return absl::StrFormat("%.2f", 1e3 * seconds / timeline.iterations);
  };
  std::string ready;
  for (size_t i = 0; i < timeline.ready.size(); ++i) {
    absl::StrAppend(&ready, i == 0 ? "" : ", ", milliseconds(timeline.ready[i]), " (", timeline.ready_floats[i], ")");
  }
  std::cout << "  " << name << ": forward done at " << milliseconds(timeline.forward)
            << " ms; gradients (floats) ready at " << ready << "; backward done at " << milliseconds(timeline.backward)
            << "; all weights there at " << milliseconds(timeline.end) << "\n";
}

std::string Describe(const std::vector<double>& values, const char* format) {
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  const auto text = [&](double value) { return absl::StrFormat(absl::ParsedFormat<'f'>(format), value); };
  return absl::StrCat(text(Median(values)), " (", text(*least), "-", text(*most), ")");
}

absl::Status MeasureNet(const std::string& name, ServerProcess* server, ThreadPool* pool,
                        std::vector<std::string>* json) {
  SAMOVAR_ASSIGN_OR_RETURN(const TrainingNet training, TrainingNetOf(name));
  const std::vector<std::string> encodings = absl::GetFlag(FLAGS_encodings);
  std::vector<std::unique_ptr<Worker>> workers;
  for (const std::string& encoding : encodings) {
    SAMOVAR_ASSIGN_OR_RETURN(
        std::unique_ptr<Worker> worker,
        Worker::Create(training, absl::StrCat("overlap-", name, "-", encoding), server, EncodingOf(encoding), pool));
    workers.push_back(std::move(worker));
  }
  const std::vector<std::pair<std::string, Way>> through = {{"by layer", Way::kByLayer}, {"whole", Way::kWhole}};
  std::map<std::string, Measured> results;
  for (int round = 0; round < absl::GetFlag(FLAGS_rounds); ++round) {
    Measured& alone = results["alone"];
    SAMOVAR_ASSIGN_OR_RETURN(const double speed, Turn(workers[0].get(), Way::kAlone, &alone.timeline));
    alone.images_per_second.push_back(speed);
    for (size_t i = 0; i < workers.size(); ++i) {
      for (const auto& [words, way] : through) {
        Measured& measured = results[absl::StrCat(encodings[i], " ", words)];
        SAMOVAR_ASSIGN_OR_RETURN(const double images, Turn(workers[i].get(), way, &measured.timeline));
        measured.images_per_second.push_back(images);
        measured.ratios.push_back(images / speed);
      }
    }
  }
  for (const std::string& encoding : encodings) {
    SAMOVAR_RETURN_IF_ERROR(server->Close(absl::StrCat("overlap-", name, "-", encoding)));
  }
  for (const auto& [label, measured] : results) {
    if (absl::GetFlag(FLAGS_json)) {
      json->push_back(
          absl::StrFormat("\"%s %s images_per_second\":%.1f", name, label, Median(measured.images_per_second)));
      if (!measured.ratios.empty())
        json->push_back(absl::StrFormat("\"%s %s ratio\":%.4f", name, label, Median(measured.ratios)));
      continue;
    }
    std::cout << absl::StrFormat("%-14s %-18s %-24s %s\n", name, label, Describe(measured.images_per_second, "%.0f"),
                                 measured.ratios.empty() ? "" : Describe(measured.ratios, "%.3f"));
    if (absl::GetFlag(FLAGS_timeline)) PrintTimeline(label, measured.timeline);
  }
  return absl::OkStatus();
}

absl::Status CheckFlags() {
  const std::vector<std::string> known = EncodingNames();
  for (const std::string& encoding : absl::GetFlag(FLAGS_encodings)) {
    if (std::find(known.begin(), known.end(), encoding) != known.end()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("--encodings are of ", absl::StrJoin(known, ", "), "; there is no \"", encoding, "\""));
  }
  if (absl::GetFlag(FLAGS_batch) < 1 || absl::GetFlag(FLAGS_rounds) < 1) {
    return absl::InvalidArgumentError("--batch and --rounds must be 1 or more");
  }
  return absl::OkStatus();
}

absl::Status Main() {
  SAMOVAR_RETURN_IF_ERROR(CheckFlags());
  char directory[] = "/dev/shm/overlap_bench.XXXXXX";
  if (mkdtemp(directory) == nullptr) return absl::ErrnoToStatus(errno, "cannot make a directory in /dev/shm");
  std::unique_ptr<ServerProcess> server;
  std::vector<std::string> json;
  const absl::Status status = [&]() -> absl::Status {
    if (absl::GetFlag(FLAGS_server_address).empty()) {
      SAMOVAR_ASSIGN_OR_RETURN(server, ServerProcess::Start(absl::GetFlag(FLAGS_server), directory, /*processor=*/1));
    } else {
      server = ServerProcess::At(absl::GetFlag(FLAGS_server_address));
    }
    // The threads that are begun from now on stay with this one, those of gRPC, too.
    cpu_set_t first;
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    if (sched_setaffinity(0, sizeof(first), &first) != 0) return absl::ErrnoToStatus(errno, "processor 0");
    if (!absl::GetFlag(FLAGS_json)) {
      std::cout << absl::StrFormat("%-14s %-18s %-24s %s\n", "net", "way", "images/s", "of alone");
    }
    ThreadPool pool(1);
    for (const std::string& name : absl::GetFlag(FLAGS_nets))
      SAMOVAR_RETURN_IF_ERROR(MeasureNet(name, server.get(), &pool, &json));
    return absl::OkStatus();
  }();
  server.reset();
  std::error_code ignored;
  std::filesystem::remove_all(directory, ignored);
  if (status.ok() && absl::GetFlag(FLAGS_json)) std::cout << "{" << absl::StrJoin(json, ",") << "}\n";
  return status;
}

}  // namespace
}  // namespace samovar

int main(int argc, char** argv) {
  if (const absl::Status status = samovar::KeepToInstructionSet(samovar::EngineLevel(), argv); !status.ok()) {
    std::cerr << status.message() << "\n";
    return 2;
  }
  absl::ParseCommandLine(argc, argv);
  samovar::TuneProcess();
  if (!samovar::InitLogging({"overlap_bench", "warning"}).ok()) return 1;
  const absl::Status status = samovar::Main();
  if (!status.ok()) std::cerr << "overlap_bench: " << status.message() << "\n";
  return status.ok() ? 0 : 1;
}
