// `samovar time`: how long each layer of a net takes, forward and backward, and how that compares with the machine's
// peak.
#include <sys/resource.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/commands.h"
#include "cli/made_up_records.h"
#include "cli/open_model.h"
#include "cli/report/exit_codes.h"
#include "cli/report/json_line.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/storage/paths.h"
#include "worker/feed/open_reader.h"
#include "worker/nn/engine.h"
#include "worker/nn/peak_flops.h"

namespace samovar {
namespace {

// Passes before those that count: memory is touched, caches are warm.
constexpr int kWarmUp = 2;

struct LayerTimes {
  std::vector<double> forward;
  std::vector<double> backward;
};

struct Timing {
  std::unique_ptr<Net> net;
  // One entry a layer of the net; seconds of each pass.
  std::vector<LayerTimes> layers;
  std::vector<double> passes;
  double peak_flops = 0;
};

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// The net without its data: records of the given shape in each data layer, labels of 0.
absl::StatusOr<OpenModel> WithoutData(const TimeOptions& options, caffe::Phase phase) {
  OpenModel model;
  model.phase = phase;
  model.storage = options.storage;
  SAMOVAR_ASSIGN_OR_RETURN(model.param,
                           ReadNetInPhase(options.model, phase, options.state, &model.origin, options.storage));
  SAMOVAR_ASSIGN_OR_RETURN(model.data, MadeUpRecords(model.param, options.shape));
  return model;
}

// Whether the net is there, and the records of its data layers are not.
bool LacksData(const TimeOptions& options, caffe::Phase phase) {
  NetOrigin origin;
  const absl::StatusOr<caffe::NetParameter> net =
      ReadNetInPhase(options.model, phase, options.state, &origin, options.storage);
  if (!net.ok()) return false;
  const auto layers = FindFedLayers(*net);
  return layers.ok() && std::any_of(layers->begin(), layers->end(), [&](const caffe::LayerParameter* layer) {
           const absl::StatusOr<std::string> source = SourceOf(*layer, options.storage);
           return !source.ok() ||
                  !OpenReader(*layer, phase, ResolvePath(*source, options.model), nullptr, options.storage).ok();
         });
}

absl::StatusOr<OpenModel> Open(const TimeOptions& options) {
  const caffe::Phase phase = options.phase == "TEST" ? caffe::TEST : caffe::TRAIN;
  if (!options.shape.empty()) return WithoutData(options, phase);
  absl::StatusOr<OpenModel> model = OpenModelFiles({options.model, "", "", options.state, options.storage}, phase);
  if (model.ok() || !LacksData(options, phase)) return model;
  return absl::Status(
      model.status().code(),
      absl::StrCat(model.status().message(), "; without data a net is timed with --shape CHANNELSxHEIGHTxWIDTH"));
}

absl::Status FillInputs(const TimeOptions& options, const OpenModel& model, Net* net) {
  if (model.data.records() > 0 && options.shape.empty()) {
    OpenModel in_order = model;
    in_order.phase = caffe::TEST;
    SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<NetFeed> feed, OpenFeedOf(in_order));
    return feed->FillRange(0, static_cast<uint64_t>(net->batch_size()), FedTops(model, *net));
  }
  FillMadeUpInputs(model.data, net);
  return absl::OkStatus();
}

absl::Status RunPasses(int iterations, Timing* timing) {
  Net& net = *timing->net;
  absl::Time last;
  bool counts = false;
  net.SetObserver([&](size_t layer, bool forward) {
    const absl::Time now = SteadyNow();
    std::vector<double>& times = forward ? timing->layers[layer].forward : timing->layers[layer].backward;
    if (counts) times.push_back(absl::ToDoubleSeconds(now - last));
    last = now;
  });
  for (int i = 0; i < kWarmUp + iterations; ++i) {
    counts = i >= kWarmUp;
    const absl::Time start = last = SteadyNow();
    SAMOVAR_RETURN_IF_ERROR(net.Forward(0, /*seed=*/1));
    last = SteadyNow();
    const absl::Status backward = net.Backward([](uint64_t, uint64_t) {});
    // A net of phase TEST has none.
    if (!backward.ok() && !absl::IsFailedPrecondition(backward)) return backward;
    if (counts) timing->passes.push_back(absl::ToDoubleSeconds(SteadyNow() - start));
  }
  net.SetObserver(nullptr);
  return absl::OkStatus();
}

absl::StatusOr<Timing> Measure(const TimeOptions& options, ThreadPool* pool) {
  SAMOVAR_ASSIGN_OR_RETURN(const OpenModel model, Open(options));
  Timing timing;
  SAMOVAR_ASSIGN_OR_RETURN(timing.net, BuildNetOf(model, /*batch_size=*/0, pool));
  timing.layers.resize(timing.net->layers());
  FillMadeUpWeights(timing.net.get());
  SAMOVAR_RETURN_IF_ERROR(FillInputs(options, model, timing.net.get()));
  // Before and after, since a machine that was idle, or gets warm, changes its clock.
  timing.peak_flops = MeasurePeakFlops(pool);
  SAMOVAR_RETURN_IF_ERROR(RunPasses(options.iterations, &timing));
  timing.peak_flops = std::max(timing.peak_flops, MeasurePeakFlops(pool));
  return timing;
}

double GigaFlops(double flops, double seconds) { return seconds > 0 ? flops / seconds * 1e-9 : 0; }

struct Totals {
  double forward_seconds = 0;
  double backward_seconds = 0;
  double flops = 0;
  double pass_seconds = 0;
};

Totals TotalsOf(const Timing& timing) {
  Totals totals;
  for (size_t i = 0; i < timing.layers.size(); ++i) {
    totals.forward_seconds += Median(timing.layers[i].forward);
    totals.backward_seconds += Median(timing.layers[i].backward);
    totals.flops += timing.net->forward_flops(i) + timing.net->backward_flops(i);
  }
  totals.pass_seconds = Median(timing.passes);
  return totals;
}

double Mebibytes(uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

// The most that the process has had.
uint64_t PeakResidentBytes() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) << 10;
}

void PrintMemory(const Net& net) {
  std::cout << absl::StrFormat("\n%-20s %-16s %11s %12s\n", "blobs needed by", "type", "forward MiB", "backward MiB");
  uint64_t most = 0;
  for (size_t i = 0; i < net.layers(); ++i) {
    const BlobNeed need = net.blob_need(i);
    most = std::max({most, need.forward, need.backward});
    std::cout << absl::StrFormat("%-20s %-16s %11.1f %12.1f\n", net.layer(i).name(), net.layer(i).type(),
                                 Mebibytes(need.forward), Mebibytes(need.backward));
  }
  std::cout << absl::StrFormat(
      "blobs: %.1f MiB are needed at most, %.1f taken; weights and their gradients: %.1f MiB; the whole process has "
      "taken "
      "%.1f MiB\n",
      Mebibytes(most), Mebibytes(net.blob_bytes()), Mebibytes(2 * sizeof(float) * net.layout().elements()),
      Mebibytes(PeakResidentBytes()));
}

void Print(const TimeOptions& options, const Timing& timing) {
  const Totals totals = TotalsOf(timing);
  const Net& net = *timing.net;
  std::cout << absl::StrFormat("%-20s %-16s %11s %11s %9s %9s\n", "layer", "type", "forward ms", "backward ms",
                               "GFLOP/s", "of peak");
  const auto row = [&](const std::string& name, const std::string& type, double forward, double backward, double flops,
                       double seconds) {
    const double rate = GigaFlops(flops, seconds);
    std::cout << absl::StrFormat("%-20s %-16s %11.3f %11.3f", name, type, 1e3 * forward, 1e3 * backward);
    if (rate > 0) std::cout << absl::StrFormat(" %9.1f %8.0f%%", rate, 100 * rate * 1e9 / timing.peak_flops);
    std::cout << "\n";
  };
  for (size_t i = 0; i < timing.layers.size(); ++i) {
    const double forward = Median(timing.layers[i].forward);
    const double backward = Median(timing.layers[i].backward);
    if (const size_t by = net.computed_by(i); by != i) {
      std::cout << absl::StrFormat("%-20s %-16s   computed together with %s\n", net.layer(i).name(),
                                   net.layer(i).type(), net.layer(by).name());
      continue;
    }
    row(net.layer(i).name(), net.layer(i).type(), forward, backward, net.forward_flops(i) + net.backward_flops(i),
        forward + backward);
  }
  row("all", "", totals.forward_seconds, totals.backward_seconds, totals.flops, totals.pass_seconds);
  std::cout << absl::StrFormat(
      "batch of %d: median %.3f ms of %d passes, %.0f images/s\n"
      "peak of %d %s: %.1f GFLOP/s (%s)\n",
      net.batch_size(), 1e3 * totals.pass_seconds, options.iterations, net.batch_size() / totals.pass_seconds,
      options.threads, options.threads == 1 ? "thread" : "threads", timing.peak_flops * 1e-9, EngineLevel());
  if (options.memory) PrintMemory(net);
}

void PrintJson(const TimeOptions& options, const Timing& timing) {
  const Totals totals = TotalsOf(timing);
  const Net& net = *timing.net;
  std::string layers;
  for (size_t i = 0; i < timing.layers.size(); ++i) {
    JsonLine layer;
    layer.Text("name", net.layer(i).name()).Text("type", net.layer(i).type());
    layer.Number("forward_ms", 1e3 * Median(timing.layers[i].forward))
        .Number("backward_ms", 1e3 * Median(timing.layers[i].backward));
    layer.Number("forward_flops", net.forward_flops(i)).Number("backward_flops", net.backward_flops(i));
    if (const size_t by = net.computed_by(i); by != i) layer.Text("computed_by", net.layer(by).name());
    if (options.memory) {
      layer.Integer("forward_bytes", net.blob_need(i).forward).Integer("backward_bytes", net.blob_need(i).backward);
    }
    absl::StrAppend(&layers, layers.empty() ? "" : ",", layer.Finish());
  }
  JsonLine line;
  line.Text("model", options.model)
      .Text("phase", options.phase)
      .Integer("threads", static_cast<uint64_t>(options.threads));
  line.Integer("batch_size", static_cast<uint64_t>(net.batch_size()))
      .Integer("iterations", static_cast<uint64_t>(options.iterations));
  line.Number("forward_ms", 1e3 * totals.forward_seconds).Number("backward_ms", 1e3 * totals.backward_seconds);
  line.Number("pass_ms", 1e3 * totals.pass_seconds).Number("images_per_second", net.batch_size() / totals.pass_seconds);
  line.Number("gflops", GigaFlops(totals.flops, totals.pass_seconds)).Number("peak_gflops", timing.peak_flops * 1e-9);
  line.Number("fraction_of_peak", totals.flops / totals.pass_seconds / timing.peak_flops);
  if (options.memory) {
    line.Integer("blob_bytes", net.blob_bytes())
        .Integer("weight_bytes", 2 * sizeof(float) * net.layout().elements())
        .Integer("peak_resident_bytes", PeakResidentBytes());
  }
  line.Text("instruction_set", EngineLevel()).Raw("layers", absl::StrCat("[", layers, "]"));
  std::cout << line.Finish() << "\n";
}

}  // namespace

int RunTime(const TimeOptions& options) {
  ThreadPool pool(options.threads);
  const absl::StatusOr<Timing> timing = Measure(options, &pool);
  if (!timing.ok()) {
    PrintError(timing.status().message());
    return kExitUsage;
  }
  if (options.json) {
    PrintJson(options, *timing);
  } else {
    Print(options, *timing);
  }
  return kExitOk;
}

}  // namespace samovar
