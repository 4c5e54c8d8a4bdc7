// Images that the engine trains on a second: forward, backward and the solver's update of one net, in this process
// alone.
//
//     engine_bench --net lenet --batch 64 --threads 1 --rounds 5 --seconds 2 [--layers]
//     engine_bench --solver config/models/resnet50/resnet50_solver.prototxt --shape 3x224x224 --classes 1000 --batch 16
//
// Prints one JSON object about the net, and one a round, flushed, so that rounds may be interleaved with those of
// another system: with --wait it waits for a line on standard input before each. Records are synthetic: pixels uniform
// in [0, 1), labels uniform. With --layers, a last object has each layer's share of the time. images_per_cpu_second
// divides by the processor time of all threads instead: on a machine that others use it is the steadier figure.
// SAMOVAR_ISA lowers the engine's instruction-set level, as it does for samovar.
#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "benchmarks/support/own_time.h"
#include "benchmarks/support/training_nets.h"
#include "benchmarks/training/trainer.h"
#include "common/base/loader.h"
#include "common/base/status_macros.h"
#include "common/base/thread_pool.h"
#include "common/model/layout.h"
#include "worker/nn/engine.h"
#include "worker/nn/net.h"

ABSL_FLAG(std::string, net, "lenet", "lenet or cifar10_quick, built in; or the name that results have");
ABSL_FLAG(std::string, solver, "", "a solver's prototxt, whose net is trained instead of one that is built in");
ABSL_FLAG(std::string, shape, "3x224x224", "with --solver: CHANNELSxHEIGHTxWIDTH of a record");
ABSL_FLAG(int, classes, 1000, "with --solver: labels are below");
ABSL_FLAG(int, batch, 64, "records of one step");
ABSL_FLAG(int, threads, 1, "threads that share each step");
ABSL_FLAG(int, rounds, 5, "measurements");
ABSL_FLAG(double, seconds, 2, "length of a measurement");
ABSL_FLAG(int, warm_up, 3, "steps before the first round");
ABSL_FLAG(bool, wait, false, "waits for a line on standard input before each round");
ABSL_FLAG(bool, layers, false, "also prints what each layer takes");
ABSL_FLAG(double, rate_scale, 1, "with --solver: so many times its base_lr");
ABSL_FLAG(int, losses, 0, "takes so many steps, prints their losses and ends");
ABSL_FLAG(std::string, write, "", "file of the weights, data and labels before the first step, float32");
ABSL_FLAG(bool, dropout, true, "leave out the net's Dropout layers with --nodropout");

namespace samovar {
namespace {

using Clock = std::chrono::steady_clock;

absl::StatusOr<Shape> ShapeOfRecord() {
  Shape shape;
  for (const absl::string_view part : absl::StrSplit(absl::GetFlag(FLAGS_shape), 'x')) {
    if (!absl::SimpleAtoi(part, &shape.emplace_back()) || shape.back() < 1) {
      return absl::InvalidArgumentError("--shape is not CHANNELSxHEIGHTxWIDTH");
    }
  }
  return shape;
}

absl::StatusOr<TrainingNet> ChooseNet() {
  const std::string solver = absl::GetFlag(FLAGS_solver);
  if (solver.empty()) return TrainingNetOf(absl::GetFlag(FLAGS_net));
  SAMOVAR_ASSIGN_OR_RETURN(const Shape shape, ShapeOfRecord());
  SAMOVAR_ASSIGN_OR_RETURN(TrainingNet training, TrainingNetOfFile(solver, shape, absl::GetFlag(FLAGS_classes)));
  training.solver.set_base_lr(training.solver.base_lr() * static_cast<float>(absl::GetFlag(FLAGS_rate_scale)));
  if (!absl::GetFlag(FLAGS_dropout)) RemoveDropout(&training.net);
  return training;
}

// Without the statistics that BatchNorm measures.
uint64_t LearnedParameters(const Net& net) {
  uint64_t learned = 0;
  for (const v1::ParameterBlob& blob : net.layout().blobs()) {
    if (blob.rule() == v1::UPDATE_RULE_SOLVER) learned += BlobElements(blob);
  }
  return learned;
}

void PrintAbout(const Net& net) {
  std::cout << absl::StrFormat(R"({"system": "samovar", "level": "%s", "parameters": %d})", EngineLevel(),
                               LearnedParameters(net))
            << std::endl;
}

// For another system, which takes the same steps from there.
absl::Status WriteStart(Net* net) {
  const std::string path = absl::GetFlag(FLAGS_write);
  if (path.empty()) return absl::OkStatus();
  std::ofstream out(path, std::ios::binary);
  const auto write = [&](std::span<const float> values) {
    out.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size_bytes()));
  };
  write(net->weights());
  for (const std::span<float> top : net->inputs()[0].tops) write(top);
  return out.flush() ? absl::OkStatus() : absl::UnavailableError(absl::StrCat(path, " cannot be written"));
}

absl::Status PrintLosses(Trainer* trainer) {
  std::vector<float> losses;
  for (int step = 0; step < absl::GetFlag(FLAGS_losses); ++step) {
    SAMOVAR_RETURN_IF_ERROR(trainer->Step());
    losses.push_back(trainer->net().loss());
  }
  std::cout << absl::StrFormat(R"({"parameters": %d, "losses": [%s]})", LearnedParameters(trainer->net()),
                               absl::StrJoin(losses, ", "))
            << std::endl;
  return absl::OkStatus();
}

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
  SAMOVAR_ASSIGN_OR_RETURN(const TrainingNet training, ChooseNet());
  ThreadPool pool(absl::GetFlag(FLAGS_threads));
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<Trainer> trainer,
                           Trainer::Create(training, absl::GetFlag(FLAGS_batch), &pool));
  SAMOVAR_RETURN_IF_ERROR(WriteStart(&trainer->net()));
  if (absl::GetFlag(FLAGS_losses) > 0) return PrintLosses(trainer.get());
  // Memory is touched, and losses are past their first jumps.
  for (int step = 0; step < absl::GetFlag(FLAGS_warm_up); ++step) SAMOVAR_RETURN_IF_ERROR(trainer->Step());
  PrintAbout(trainer->net());
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
