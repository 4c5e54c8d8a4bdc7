#include "cli/plan/measure_job.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/model/layout.h"

namespace samovar {
namespace {

// A pass of the larger size has about so many multiplications and additions.
constexpr double kPassFlops = 60e9;
// Passes that count, and when fewer will do.
constexpr size_t kPasses = 7;
constexpr size_t kFewestPasses = 2;
constexpr absl::Duration kEnough = absl::Milliseconds(2500);

struct LayerSeconds {
  std::vector<double> forward;
  std::vector<double> backward;
};

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

double FlopsOf(const Net& net) {
  double flops = 0;
  for (size_t i = 0; i < net.layers(); ++i) flops += net.forward_flops(i) + net.backward_flops(i);
  return flops;
}

absl::StatusOr<std::vector<LayerSeconds>> TimePasses(Net* net) {
  std::vector<LayerSeconds> layers(net->layers());
  absl::Time last;
  bool counts = false;
  net->SetObserver([&](size_t layer, bool forward) {
    const absl::Time now = SteadyNow();
    std::vector<double>& seconds = forward ? layers[layer].forward : layers[layer].backward;
    if (counts) seconds.push_back(absl::ToDoubleSeconds(now - last));
    last = now;
  });
  const absl::Time begun = SteadyNow();
  // The first pass touches memory.
  for (size_t pass = 0; pass <= kPasses; ++pass) {
    if (pass > kFewestPasses && SteadyNow() - begun > kEnough) break;
    counts = pass > 0;
    last = SteadyNow();
    SAMOVAR_RETURN_IF_ERROR(net->Forward(0, /*seed=*/1));
    last = SteadyNow();
    SAMOVAR_RETURN_IF_ERROR(net->Backward([](uint64_t, uint64_t) {}));
  }
  net->SetObserver(nullptr);
  return layers;
}

// A line through the times of two sizes.
PassSeconds LineThrough(int few, double few_seconds, int many, double many_seconds) {
  PassSeconds line;
  if (many > few) line.per_image = (many_seconds - few_seconds) / (many - few);
  if (line.per_image <= 0 || line.per_image * many > many_seconds) line.per_image = many_seconds / many;
  line.fixed = std::max(0.0, many_seconds - line.per_image * many);
  return line;
}

std::map<std::string, uint64_t> ParametersByLayer(const Net& net) {
  std::map<std::string, uint64_t> parameters;
  for (const v1::ParameterBlob& blob : net.layout().blobs()) parameters[blob.layer()] += BlobElements(blob);
  return parameters;
}

}  // namespace

absl::StatusOr<JobShape> MeasureJob(const NetMaker& make, int batch) {
  SAMOVAR_ASSIGN_OR_RETURN(std::unique_ptr<Net> net, make(1));
  const double flops = std::max(1.0, FlopsOf(*net));
  const int many = static_cast<int>(std::clamp(kPassFlops / flops, std::min(4.0, 1.0 * batch), 1.0 * batch));
  const int few = std::max(1, many / 4);
  if (few > 1) {
    SAMOVAR_ASSIGN_OR_RETURN(net, make(few));
  }
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<LayerSeconds> few_seconds, TimePasses(net.get()));
  net.reset();
  SAMOVAR_ASSIGN_OR_RETURN(net, make(many));
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<LayerSeconds> many_seconds, TimePasses(net.get()));
  JobShape job;
  job.batch = static_cast<uint32_t>(batch);
  job.blob_bytes_per_image = static_cast<double>(net->blob_bytes()) / many;
  std::map<std::string, uint64_t> parameters = ParametersByLayer(*net);
  for (size_t i = 0; i < net->layers(); ++i) {
    LayerShape layer;
    layer.name = net->layer(i).name();
    layer.parameters = std::exchange(parameters[layer.name], 0);
    layer.forward = LineThrough(few, Median(few_seconds[i].forward), many, Median(many_seconds[i].forward));
    layer.backward = LineThrough(few, Median(few_seconds[i].backward), many, Median(many_seconds[i].backward));
    layer.forward_flops = net->forward_flops(i) / many;
    layer.backward_flops = net->backward_flops(i) / many;
    job.layers.push_back(std::move(layer));
  }
  if (job.parameters() != net->layout().elements())
    return absl::InternalError("the layers' parameters are not those of the net");
  return job;
}

void ScaleSeconds(double factor, JobShape* job) {
  for (LayerShape& layer : job->layers) {
    for (PassSeconds* pass : {&layer.forward, &layer.backward}) {
      pass->fixed *= factor;
      pass->per_image *= factor;
    }
  }
}

}  // namespace samovar
