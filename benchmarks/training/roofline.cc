// How far a training step is from what the machine can do: the time that its multiplications and additions take at the
// peak of the arithmetic, the time that its data takes at the memory's speed, and the time that it takes.
//
//     roofline --solver config/models/resnet50/resnet50_solver.prototxt --shape 3x224x224 --classes 1000 --batch 16
//
// Prints one JSON object. The arithmetic is that of matrix products, by their definition. The data is that of a step
// whose layers keep nothing in caches: forward each blob is written and read once; backward its gradient is written and
// read once, and the blob is read again. A weight is read in both directions and its gradient written; the update reads
// weight, momentum and gradient, and writes the first two. A layer that works in place adds nothing, as if it were
// computed together with the one below. Engines that compute further layers together, or use what is in a cache, need
// less: only the first time is a bound, and that only without skipped work.
#include <algorithm>
#include <chrono>
#include <iostream>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "benchmarks/support/engine_program.h"
#include "benchmarks/support/training_nets.h"
#include "benchmarks/training/trainer.h"
#include "common/base/status_macros.h"
#include "worker/nn/engine.h"
#include "worker/nn/peak_flops.h"

ABSL_FLAG(std::string, solver, "", "a solver's prototxt");
ABSL_FLAG(std::string, shape, "3x224x224", "CHANNELSxHEIGHTxWIDTH of a record");
ABSL_FLAG(int, classes, 1000, "labels are below");
ABSL_FLAG(int, batch, 16, "records of one step");
ABSL_FLAG(int, threads, 1, "threads that share each step");
ABSL_FLAG(int, steps, 3, "measured steps, of which the fastest counts");
ABSL_FLAG(double, rate_scale, 0.01, "so many times the solver's base_lr");

namespace samovar {
namespace {

using Clock = std::chrono::steady_clock;

double Seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

// Bytes a second of a[i] = b[i] + s * c[i], three arrays of 64 MiB: two are read, one is written. The best of a few.
double MeasureTriad(ThreadPool* pool) {
  constexpr int64_t kFloats = 16 << 20;
  constexpr int64_t kPieces = 64;
  std::vector<float> a(kFloats, 0.0f), b(kFloats, 1.0f), c(kFloats, 2.0f);
  double best = 0;
  for (int repeat = 0; repeat < 7; ++repeat) {
    const Clock::time_point start = Clock::now();
    pool->ParallelFor(kPieces, [&](int64_t piece, int) {
      float* const to = a.data();
      const float *const left = b.data(), *const right = c.data();
      const float scale = static_cast<float>(repeat);
      const int64_t end = (piece + 1) * (kFloats / kPieces);
      for (int64_t i = piece * (kFloats / kPieces); i < end; ++i) to[i] = left[i] + scale * right[i];
    });
    best = std::max(best, 3.0 * sizeof(float) * kFloats / Seconds(Clock::now() - start));
  }
  return best;
}

// Floats that a step moves, as above.
absl::StatusOr<double> Traffic(const TrainingNet& training) {
  NetOptions options;
  options.batch_size = absl::GetFlag(FLAGS_batch);
  options.input_shapes[training.net.layer(0).name()] = {training.image, {}};
  options.keep_blobs = true;
  // Never run: its memory is not touched.
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<Net> net, Net::Create(training.net, options));
  double floats = 8.0 * static_cast<double>(net->layout().elements());
  for (const std::string& name : net->BlobNames()) {
    SAMOVAR_ASSIGN_OR_RETURN(const NetBlob blob, net->FindBlob(name));
    const auto& inputs = training.net.layer(0).top();
    const bool fed = std::find(inputs.begin(), inputs.end(), name) != inputs.end();
    floats += (fed ? 2.0 : 5.0) * static_cast<double>(blob.values.size());
  }
  return floats;
}

absl::StatusOr<double> MeasureStep(Trainer* trainer) {
  SAMOVAR_RETURN_IF_ERROR(trainer->Step());
  double best = 0;
  for (int step = 0; step < absl::GetFlag(FLAGS_steps); ++step) {
    const Clock::time_point start = Clock::now();
    SAMOVAR_RETURN_IF_ERROR(trainer->Step());
    const double seconds = Seconds(Clock::now() - start);
    best = step == 0 ? seconds : std::min(best, seconds);
  }
  return best;
}

absl::StatusOr<TrainingNet> ReadNet() {
  Shape shape;
  for (const absl::string_view part : absl::StrSplit(absl::GetFlag(FLAGS_shape), 'x')) {
    if (!absl::SimpleAtoi(part, &shape.emplace_back())) return absl::InvalidArgumentError("--shape");
  }
  SAMOVAR_ASSIGN_OR_RETURN(TrainingNet training,
                           TrainingNetOfFile(absl::GetFlag(FLAGS_solver), shape, absl::GetFlag(FLAGS_classes)));
  training.solver.set_base_lr(training.solver.base_lr() * static_cast<float>(absl::GetFlag(FLAGS_rate_scale)));
  return training;
}

absl::Status Main() {
  ThreadPool pool(absl::GetFlag(FLAGS_threads));
  SAMOVAR_ASSIGN_OR_RETURN(const TrainingNet training, ReadNet());
  SAMOVAR_ASSIGN_OR_RETURN(const double floats, Traffic(training));
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<Trainer> trainer,
                           Trainer::Create(training, absl::GetFlag(FLAGS_batch), &pool));
  const Net& net = trainer->net();
  double flops = 0;
  for (size_t i = 0; i < net.layers(); ++i) flops += net.forward_flops(i) + net.backward_flops(i);
  const double peak = MeasurePeakFlops(&pool);
  const double triad = MeasureTriad(&pool);
  SAMOVAR_ASSIGN_OR_RETURN(const double seconds, MeasureStep(trainer.get()));
  const double at_peak = flops / peak;
  const double at_triad = floats * sizeof(float) / triad;
  std::cout << absl::StrFormat(
                   R"({"model": "%s", "batch": %d, "threads": %d, "level": "%s", "gflop": %.2f, "peak_gflops": %.1f, )"
                   R"("gb": %.3f, "triad_gbs": %.1f, "ms_at_peak": %.2f, "ms_at_triad": %.2f, "ms": %.2f, )"
                   R"("of_peak": %.3f, "of_both": %.3f})",
                   training.net.name(), net.batch_size(), absl::GetFlag(FLAGS_threads), EngineLevel(), 1e-9 * flops,
                   1e-9 * peak, 4e-9 * floats, 1e-9 * triad, 1e3 * at_peak, 1e3 * at_triad, 1e3 * seconds,
                   at_peak / seconds, (at_peak + at_triad) / seconds)
            << std::endl;
  return absl::OkStatus();
}

}  // namespace
}  // namespace samovar

int main(int argc, char** argv) { return samovar::RunEngineProgram(argc, argv, samovar::Main); }
