// Images that the engine trains on a second: forward, backward and the solver's update of one net, in this process
// alone.
//
//     engine_bench --net lenet --batch 64 --threads 1 --rounds 5 --seconds 2 [--layers]
//
// Prints one JSON object a round, flushed, so that rounds may be interleaved with those of another system: with --wait
// it waits for a line on standard input before each. Records are synthetic: pixels uniform in [0, 1), labels uniform.
// With --layers, a last object has each layer's share of the time. images_per_cpu_second divides by the processor time
// of all threads instead: on a machine that others use it is the steadier figure. SAMOVAR_ISA lowers the engine's
// instruction-set level, as it does for samovar.
#include <time.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/str_format.h"
#include "benchmarks/support/training_nets.h"
#include "common/base/loader.h"
#include "common/base/status_macros.h"
#include "common/base/thread_pool.h"
#include "common/model/layout.h"
#include "server/solver/solver_rule.h"
#include "worker/nn/engine.h"
#include "worker/nn/net.h"

ABSL_FLAG(std::string, net, "lenet", "lenet or cifar10_quick");
ABSL_FLAG(int, batch, 64, "records of one step");
ABSL_FLAG(int, threads, 1, "threads that share each step");
ABSL_FLAG(int, rounds, 5, "measurements");
ABSL_FLAG(double, seconds, 2, "length of a measurement");
ABSL_FLAG(bool, wait, false, "waits for a line on standard input before each round");
ABSL_FLAG(bool, layers, false, "also prints what each layer takes");

namespace samovar {
namespace {

using Clock = std::chrono::steady_clock;

double Seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

// Processor time of all threads so far.
double CpuSeconds() {
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

class Trainer {
 public:
  static absl::StatusOr<std::unique_ptr<Trainer>> Create(ThreadPool* pool) {
    SAMOVAR_ASSIGN_OR_RETURN(const TrainingNet training, TrainingNetOf(absl::GetFlag(FLAGS_net)));
    auto trainer = std::make_unique<Trainer>();
    SAMOVAR_ASSIGN_OR_RETURN(trainer->net_, MakeNet(training, absl::GetFlag(FLAGS_batch), pool));
    SAMOVAR_ASSIGN_OR_RETURN(trainer->rule_, SolverRule::Create(training.solver));
    trainer->state_.resize(static_cast<size_t>(trainer->rule_->state_vectors()),
                           std::vector<float>(trainer->net_->weights().size()));
    trainer->pool_ = pool;
    for (const v1::ParameterBlob& blob : trainer->net_->layout().blobs()) {
      const uint64_t end = blob.offset() + BlobElements(blob);
      for (uint64_t begin = blob.offset(); begin < end; begin += kSegmentFloats) {
        trainer->segments_.push_back({static_cast<uint32_t>(begin),
                                      static_cast<uint32_t>(std::min(end, begin + kSegmentFloats)), blob.lr_mult(),
                                      blob.decay_mult()});
      }
    }
    return trainer;
  }

  Net& net() { return *net_; }

  absl::Status Step() {
    SAMOVAR_RETURN_IF_ERROR(net_->Forward(step_, 1));
    SAMOVAR_RETURN_IF_ERROR(net_->Backward([](uint64_t, uint64_t) {}));
    std::vector<std::span<float>> state(state_.begin(), state_.end());
    // As a server does with as many apply threads: pieces of chunks side by side.
    pool_->ParallelFor(static_cast<int64_t>(segments_.size()), [&](int64_t piece, int) {
      rule_->Apply(step_, segments_[static_cast<size_t>(piece)], net_->weights(), state, net_->gradients());
    });
    ++step_;
    return absl::OkStatus();
  }

 private:
  static constexpr uint64_t kSegmentFloats = 16 << 10;

  ThreadPool* pool_ = nullptr;
  std::unique_ptr<Net> net_;
  std::unique_ptr<const SolverRule> rule_;
  std::vector<RuleSegment> segments_;
  std::vector<std::vector<float>> state_;
  uint64_t step_ = 0;
};

absl::Status Round(int round, Trainer* trainer) {
  const Clock::time_point start = Clock::now();
  const double cpu_start = CpuSeconds();
  int64_t steps = 0;
  double seconds = 0;
  while (seconds < absl::GetFlag(FLAGS_seconds)) {
    SAMOVAR_RETURN_IF_ERROR(trainer->Step());
    ++steps;
    seconds = Seconds(Clock::now() - start);
  }
  const double images = static_cast<double>(steps) * trainer->net().batch_size();
  std::cout
      << absl::StrFormat(
             R"({"system": "samovar", "net": "%s", "batch": %d, "threads": %d, "level": "%s", "round": %d, "images_per_second": %.1f, )"
             R"("images_per_cpu_second": %.1f})",
             absl::GetFlag(FLAGS_net), trainer->net().batch_size(), absl::GetFlag(FLAGS_threads), EngineLevel(), round,
             images / seconds, images / (CpuSeconds() - cpu_start))
      << std::endl;
  return absl::OkStatus();
}

// Time of one direction of one layer, in all steps.
struct LayerTime {
  double cpu = 0;
  double wall = 0;
};

// The time of each layer, us of processor time and of the wall's clock an image, and its speed in GFLOP/s of processor
// time by its definition. A layer that a convolution has absorbed takes 0. The rest is the solver's.
absl::Status PrintLayers(Trainer* trainer) {
  constexpr int kSteps = 100;
  Net& net = trainer->net();
  std::vector<LayerTime> times[2] = {std::vector<LayerTime>(net.layers()), std::vector<LayerTime>(net.layers())};
  LayerTime last;
  const auto now = [] { return LayerTime{CpuSeconds(), Seconds(Clock::now().time_since_epoch())}; };
  LayerTime rest;
  const auto lap = [&](LayerTime* to) {
    const LayerTime at = now();
    to->cpu += at.cpu - last.cpu;
    to->wall += at.wall - last.wall;
    last = at;
  };
  net.SetObserver([&](size_t layer, bool forward) { lap(&times[forward ? 0 : 1][layer]); });
  last = now();
  for (int step = 0; step < kSteps; ++step) {
    SAMOVAR_RETURN_IF_ERROR(trainer->Step());
    lap(&rest);
  }
  net.SetObserver(nullptr);
  const double images = kSteps * static_cast<double>(net.batch_size());
  std::cout << "{\"layers\": [";
  for (size_t i = 0; i < net.layers(); ++i) {
    std::cout << absl::StrFormat("%s\n  {\"layer\": \"%s\"", i == 0 ? "" : ",", net.layer(i).name());
    for (const bool forward : {true, false}) {
      const LayerTime& time = times[forward ? 0 : 1][i];
      const std::string direction = forward ? "forward" : "backward";
      const double flops = kSteps * (forward ? net.forward_flops(i) : net.backward_flops(i));
      std::cout << absl::StrFormat(", \"%s_us\": %.2f, \"%s_wall_us\": %.2f, \"%s_gflops\": %.1f", direction,
                                   1e6 * time.cpu / images, direction, 1e6 * time.wall / images, direction,
                                   flops / std::max(time.cpu, 1e-9) / 1e9);
    }
    std::cout << "}";
  }
  std::cout << absl::StrFormat("],\n \"rest_us\": %.2f, \"rest_wall_us\": %.2f}", 1e6 * rest.cpu / images,
                               1e6 * rest.wall / images)
            << std::endl;
  return absl::OkStatus();
}

absl::Status Main() {
  ThreadPool pool(absl::GetFlag(FLAGS_threads));
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<Trainer> trainer, Trainer::Create(&pool));
  for (int step = 0; step < 3; ++step) SAMOVAR_RETURN_IF_ERROR(trainer->Step());
  for (int round = 0; round < absl::GetFlag(FLAGS_rounds); ++round) {
    std::string line;
    if (absl::GetFlag(FLAGS_wait) && !std::getline(std::cin, line)) break;
    SAMOVAR_RETURN_IF_ERROR(Round(round, trainer.get()));
  }
  return absl::GetFlag(FLAGS_layers) ? PrintLayers(trainer.get()) : absl::OkStatus();
}

}  // namespace
}  // namespace samovar

int main(int argc, char** argv) {
  if (const absl::Status status = samovar::KeepToInstructionSet(samovar::EngineLevel(), argv); !status.ok()) {
    std::cerr << status.message() << "\n";
    return 2;
  }
  absl::ParseCommandLine(argc, argv);
  if (absl::GetFlag(FLAGS_batch) < 1 || absl::GetFlag(FLAGS_threads) < 1) {
    std::cerr << "--batch and --threads must be 1 or more\n";
    return 2;
  }
  const absl::Status status = samovar::Main();
  if (!status.ok()) std::cerr << status << "\n";
  return status.ok() ? 0 : 1;
}
