// Images a second that the engine classifies: forward passes of a deploy net in phase TEST.
//
//     inference_bench --model deploy.prototxt --prepare FOLDER
//     inference_bench --model deploy.prototxt --folder FOLDER --batch 32 --threads 2 [--layers]
//
// --prepare draws weights and two images, and writes into the folder: net.caffemodel; weights.f32, the parameters in
// the order of the layout, which is printed; check.f32, the two images and the outputs of each, computed without fusion
// on one thread. Otherwise it prints one JSON object about the net, with the largest difference from these outputs, and
// one a round, flushed; with --wait it waits for a line on standard input before each. With --layers, a last object
// has the time of each layer.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <iostream>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "benchmarks/support/engine_program.h"
#include "benchmarks/support/own_time.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/base/thread_pool.h"
#include "common/caffe/model_file.h"
#include "common/caffe/prototxt.h"
#include "common/model/layout.h"
#include "common/model/model_blobs.h"
#include "common/storage/storage_table.h"
#include "worker/nn/engine.h"
#include "worker/nn/net.h"

ABSL_FLAG(std::string, model, "", "a deploy net: an Input layer first, the classifier's output last");
ABSL_FLAG(std::string, prepare, "", "writes model, weights, images and outputs into this folder, and ends");
ABSL_FLAG(std::string, folder, "", "what --prepare has written");
ABSL_FLAG(int, batch, 1, "images of a pass");
ABSL_FLAG(int, threads, 1, "threads that share each pass");
ABSL_FLAG(int, rounds, 5, "measurements");
ABSL_FLAG(double, seconds, 1, "length of a measurement");
ABSL_FLAG(int, warm_up, 2, "passes before the first round");
ABSL_FLAG(bool, wait, false, "waits for a line on standard input before each round");
ABSL_FLAG(bool, layers, false, "also prints what each layer takes");

namespace samovar {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kCheckedImages = 2;
// Standard deviation of the values that the last layer with parameters gives to the classifier: large enough to tell
// classes apart, and too small for a softmax of zeros and a one.
constexpr float kScores = 2;

struct Range {
  float from;
  float to;
};

// Where a parameter is drawn from, so that no layer's outputs are much larger than its inputs.
Range RangeOf(const std::string& type, const v1::ParameterBlob& blob) {
  if (type == "BatchNorm")
    return blob.index() == 0 ? Range{-0.1f, 0.1f} : blob.index() == 1 ? Range{0.5f, 1.5f} : Range{1, 1};
  if (blob.index() > 0) return {-0.1f, 0.1f};
  if (type == "Scale") return {0.5f, 1};
  const double inputs = static_cast<double>(BlobElements(blob)) / static_cast<double>(blob.shape(0));
  const auto side = static_cast<float>(std::sqrt(6 / inputs));
  return {-side, side};
}

void DrawWeights(const caffe::NetParameter& param, Net* net) {
  const uint64_t key = DeriveKey(RandomStream::kFiller, {7});
  for (const v1::ParameterBlob& blob : net->layout().blobs()) {
    const auto layer = std::find_if(param.layer().begin(), param.layer().end(),
                                    [&](const caffe::LayerParameter& one) { return one.name() == blob.layer(); });
    const Range range = RangeOf(layer->type(), blob);
    for (uint64_t i = blob.offset(); i < blob.offset() + BlobElements(blob); ++i)
      net->weights()[i] = range.from + (range.to - range.from) * UnitFloat(Philox(key, 1, i)[0]);
  }
}

// The parameters of the last layer that has some, times so much.
void ScaleLastLayer(float factor, Net* net) {
  const auto& blobs = net->layout().blobs();
  const std::string& last = blobs.rbegin()->layer();
  for (const v1::ParameterBlob& blob : blobs) {
    if (blob.layer() != last) continue;
    for (uint64_t i = blob.offset(); i < blob.offset() + BlobElements(blob); ++i) net->weights()[i] *= factor;
  }
}

std::vector<float> Values(const NetBlob& blob) { return {blob.values.begin(), blob.values.end()}; }

float DeviationOf(const std::vector<float>& values) {
  const auto count = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  double squares = 0;
  for (const float value : values) squares += (value - mean) * (value - mean);
  return static_cast<float>(std::sqrt(squares / count));
}

absl::StatusOr<std::unique_ptr<Net>> MakeNet(const caffe::NetParameter& param, int batch, ThreadPool* pool,
                                             bool keep_blobs) {
  NetOptions options;
  options.phase = caffe::TEST;
  options.batch_size = batch;
  options.pool = pool;
  options.keep_blobs = keep_blobs;
  return Net::Create(param, options);
}

absl::StatusOr<std::vector<float>> Outputs(const caffe::NetParameter& param, Net* net) {
  SAMOVAR_RETURN_IF_ERROR(net->Forward(0, /*seed=*/1));
  SAMOVAR_ASSIGN_OR_RETURN(const NetBlob blob, net->FindBlob(param.layer().rbegin()->top(0)));
  return Values(blob);
}

absl::Status WriteFloats(const std::string& path, std::initializer_list<std::span<const float>> parts) {
  std::ofstream out(path, std::ios::binary);
  for (const std::span<const float> part : parts)
    out.write(reinterpret_cast<const char*>(part.data()), static_cast<std::streamsize>(part.size_bytes()));
  return out.flush() ? absl::OkStatus() : absl::UnavailableError(absl::StrCat(path, " cannot be written"));
}

void PrintLayout(const Net& net, size_t outputs) {
  std::vector<std::string> blobs;
  for (const v1::ParameterBlob& blob : net.layout().blobs())
    blobs.push_back(
        absl::StrFormat(R"({"layer": "%s", "shape": [%s]})", blob.layer(), absl::StrJoin(blob.shape(), ", ")));
  std::cout << absl::StrFormat(R"({"outputs": %d, "blobs": [%s]})", outputs, absl::StrJoin(blobs, ", ")) << std::endl;
}

absl::Status Prepare(const caffe::NetParameter& param) {
  const std::string folder = absl::GetFlag(FLAGS_prepare);
  ThreadPool pool(1);
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<Net> net, MakeNet(param, kCheckedImages, &pool, /*keep_blobs=*/true));
  DrawWeights(param, net.get());
  const std::span<float> images = net->inputs()[0].tops[0];
  for (size_t i = 0; i < images.size(); ++i) images[i] = UnitFloat(Philox(3, 1, i)[0]) - 0.5f;
  SAMOVAR_RETURN_IF_ERROR(Outputs(param, net.get()).status());
  SAMOVAR_ASSIGN_OR_RETURN(const NetBlob scores, net->FindBlob(param.layer().rbegin()->bottom(0)));
  ScaleLastLayer(kScores / DeviationOf(Values(scores)), net.get());
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<float> outputs, Outputs(param, net.get()));
  SAMOVAR_RETURN_IF_ERROR(WriteFloats(folder + "/weights.f32", {net->weights()}));
  SAMOVAR_RETURN_IF_ERROR(WriteFloats(folder + "/check.f32", {images, outputs}));
  SAMOVAR_ASSIGN_OR_RETURN(const caffe::NetParameter model, MakeModel(param, net->layout(), net->weights()));
  SAMOVAR_RETURN_IF_ERROR(WriteModel(folder + "/net.caffemodel", model, StorageTable()));
  PrintLayout(*net, outputs.size() / kCheckedImages);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<float>> ReadFloats(const std::string& name) {
  const std::string path = absl::StrCat(absl::GetFlag(FLAGS_folder), "/", name);
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  std::vector<float> floats(in ? static_cast<size_t>(in.tellg()) / sizeof(float) : 0);
  in.seekg(0).read(reinterpret_cast<char*>(floats.data()), static_cast<std::streamsize>(floats.size() * sizeof(float)));
  if (in) return floats;
  return absl::UnavailableError(absl::StrCat(path, " cannot be read; it is made by --prepare"));
}

absl::Status ReadWeights(Net* net) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<float> weights, ReadFloats("weights.f32"));
  if (weights.size() != net->weights().size()) return absl::InvalidArgumentError("the folder is that of another net");
  std::copy(weights.begin(), weights.end(), net->weights().begin());
  return absl::OkStatus();
}

// The checked images again and again, and the largest difference of an output.
absl::StatusOr<float> FillAndCheck(const caffe::NetParameter& param, Net* net) {
  const std::span<float> inputs = net->inputs()[0].tops[0];
  const size_t images = kCheckedImages * inputs.size() / static_cast<size_t>(net->batch_size());
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<float> check, ReadFloats("check.f32"));
  if (check.size() <= images) return absl::InvalidArgumentError("the folder is that of another net");
  for (size_t i = 0; i < inputs.size(); ++i) inputs[i] = check[i % images];
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<float> outputs, Outputs(param, net));
  float largest = 0;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const float difference = std::abs(outputs[i] - check[images + i % (check.size() - images)]);
    if (!std::isfinite(difference)) return difference;
    largest = std::max(largest, difference);
  }
  return largest;
}

absl::Status Round(int round, Net* net) {
  const Clock::time_point start = Clock::now();
  const double cpu_start = CpuSeconds();
  double images = 0, seconds = 0;
  while (seconds < absl::GetFlag(FLAGS_seconds)) {
    SAMOVAR_RETURN_IF_ERROR(net->Forward(0, /*seed=*/1));
    images += net->batch_size();
    seconds = Seconds(Clock::now() - start);
  }
  std::cout << absl::StrFormat(
                   R"({"system": "samovar", "round": %d, "images_per_second": %.2f, "images_per_cpu_second": %.2f})",
                   round, images / seconds, images / (CpuSeconds() - cpu_start))
            << std::endl;
  return absl::OkStatus();
}

// The fastest of some passes, ms. A layer whose work another one does takes 0.
absl::Status PrintLayers(Net* net) {
  constexpr int kPasses = 15;
  std::vector<std::vector<double>> times(net->layers());
  Clock::time_point last;
  net->SetObserver([&](size_t layer, bool) {
    const Clock::time_point now = Clock::now();
    times[layer].push_back(1e3 * Seconds(now - last));
    last = now;
  });
  for (int pass = 0; pass < kPasses; ++pass) {
    last = Clock::now();
    SAMOVAR_RETURN_IF_ERROR(net->Forward(0, /*seed=*/1));
  }
  net->SetObserver(nullptr);
  std::vector<std::string> layers;
  for (size_t i = 0; i < net->layers(); ++i) {
    layers.push_back(absl::StrFormat(
        R"({"layer": "%s", "type": "%s", "ms": %.3f, "gflop": %.4f})", net->layer(i).name(), net->layer(i).type(),
        *std::min_element(times[i].begin(), times[i].end()), 1e-9 * net->forward_flops(i)));
  }
  std::cout << absl::StrFormat("{\"layers\": [%s]}", absl::StrJoin(layers, ",\n ")) << std::endl;
  return absl::OkStatus();
}

absl::Status Main() {
  SAMOVAR_ASSIGN_OR_RETURN(const caffe::NetParameter param,
                           ReadNetFile(absl::GetFlag(FLAGS_model), nullptr, StorageTable()));
  if (!absl::GetFlag(FLAGS_prepare).empty()) return Prepare(param);
  ThreadPool pool(absl::GetFlag(FLAGS_threads));
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<Net> net,
                           MakeNet(param, absl::GetFlag(FLAGS_batch), &pool, /*keep_blobs=*/false));
  SAMOVAR_RETURN_IF_ERROR(ReadWeights(net.get()));
  SAMOVAR_ASSIGN_OR_RETURN(const float difference, FillAndCheck(param, net.get()));
  for (int pass = 0; pass < absl::GetFlag(FLAGS_warm_up); ++pass) SAMOVAR_RETURN_IF_ERROR(net->Forward(0, /*seed=*/1));
  std::cout << absl::StrFormat(R"({"system": "samovar", "level": "%s", "parameters": %d, "difference": %s})",
                               EngineLevel(), net->layout().elements(),
                               std::isfinite(difference) ? absl::StrCat(difference) : "NaN")
            << std::endl;
  for (int round = 0; round < absl::GetFlag(FLAGS_rounds); ++round) {
    std::string line;
    if (absl::GetFlag(FLAGS_wait) && !std::getline(std::cin, line)) break;
    SAMOVAR_RETURN_IF_ERROR(Round(round, net.get()));
  }
  return absl::GetFlag(FLAGS_layers) ? PrintLayers(net.get()) : absl::OkStatus();
}

}  // namespace
}  // namespace samovar

int main(int argc, char** argv) { return samovar::RunEngineProgram(argc, argv, samovar::Main); }
