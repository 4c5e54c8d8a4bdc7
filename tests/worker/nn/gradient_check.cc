#include "tests/worker/nn/gradient_check.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/thread_pool.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/worker/nn/test_net.h"

namespace samovar {
namespace {

float LossAt(Net* net, size_t weight, float value) {
  net->weights()[weight] = value;
  REQUIRE_OK(net->Forward(0, 0));
  return net->loss();
}

// The sign of the value, and a size of 0.5 to 1 that grows with its own, up to `most`.
float Away(float value, float most) { return std::copysign(0.5f + 0.5f * std::abs(value) / most, value); }

void LeaveGap(Net* net, float most) {
  for (float& value : DataOf(net)) value = Away(value, 1);
  for (float& weight : net->weights()) weight *= 4;
  for (int i = 0; i < 2; ++i) {
    const v1::ParameterBlob& blob = net->layout().blobs(i);
    for (int64_t k = 0; k < blob.shape(0); ++k) {
      float& weight = net->weights()[blob.offset() + static_cast<size_t>(k)];
      weight = i == 0 ? Away(weight, 4 * most) : weight * 0.1f / (4 * most);
    }
  }
}

std::unique_ptr<Net> MakeCase(const std::string& layers, const GradientCase& options, ThreadPool* pool = nullptr) {
  std::unique_ptr<Net> net = MakeNet(DataText(options.batch) + layers,
                                     ImageOptions(caffe::TRAIN, options.channels, options.height, options.width, pool));
  constexpr float kLargestWeight = 0.3f;
  FillWeights(net.get(), 5, kLargestWeight);
  FillRecords(net.get(), 6, options.classes);
  if (options.gap) LeaveGap(net.get(), kLargestWeight);
  return net;
}

// The weights whose gradients are compared.
std::vector<size_t> WeightsToCheck(const Net& net, const std::string& trusted) {
  std::vector<size_t> weights;
  for (const v1::ParameterBlob& blob : net.layout().blobs()) {
    if (blob.layer() == trusted) continue;
    size_t elements = 1;
    for (int64_t dimension : blob.shape()) elements *= static_cast<size_t>(dimension);
    for (size_t i = 0; i < elements; ++i) weights.push_back(blob.offset() + i);
  }
  return weights;
}

// The layer between weights and a loss; a channel, or a value, has its own.
std::string Chain(const std::string& below, const std::string& type, const std::string& fields,
                  const std::string& top) {
  return absl::StrCat(below, "layer { name: \"tested\" type: \"", type, "\" bottom: \"a\" top: \"", top, "\" ", fields,
                      R"( }
      layer { name: "head" type: "InnerProduct" bottom: ")",
                      top, R"(" top: "head" inner_product_param { num_output: 3 } }
      layer { name: "loss" type: "SoftmaxWithLoss" bottom: "head" bottom: "label" top: "loss" })");
}

std::string Scale(int channels) {
  return absl::StrCat(
      R"(layer { name: "a" type: "Convolution" bottom: "data" top: "a" convolution_param { kernel_size: 1 num_output: )",
      channels, " group: ", channels, " } }\n");
}

constexpr char kInnerProduct[] = R"(
    layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" inner_product_param { num_output: 5 } })";

}  // namespace

void CheckGradients(const std::string& layers, const GradientCase& options) {
  std::unique_ptr<Net> net = MakeCase(layers, options);
  const std::vector<float> gradients = Gradients(net.get());
  const std::vector<size_t> weights = WeightsToCheck(*net, options.trusted);
  constexpr float kStep = 4e-3f;
  size_t missed = 0;
  float largest = 0;
  for (size_t i : weights) {
    const float weight = net->weights()[i];
    const float difference =
        (LossAt(net.get(), i, weight + kStep) - LossAt(net.get(), i, weight - kStep)) / (2 * kStep);
    net->weights()[i] = weight;
    const float error = std::abs(difference - gradients[i]) / std::max(1.0f, std::abs(gradients[i]));
    largest = std::max(largest, std::abs(gradients[i]));
    missed += error > 1e-3f;
    INFO("weight " << i << ": difference " << difference << ", gradient " << gradients[i]);
    REQUIRE(error < 3e-2f);
  }
  CHECK(missed * 50 <= weights.size());
  CHECK(largest > 0.05f);
}

void CheckLayerOfEqualShapes(const std::string& type, const std::string& fields) {
  INFO(type << " " << fields);
  const GradientCase images{.trusted = "head", .gap = true};
  const GradientCase odd{.batch = 9, .channels = 3, .height = 3, .width = 1, .trusted = "head", .gap = true};
  const GradientCase vectors{.batch = 10, .channels = 1, .height = 1, .width = 1, .trusted = "head", .gap = true};
  CheckGradients(Chain(Scale(4), type, fields, "y"), images);
  CheckGradients(Chain(Scale(3), type, fields, "y"), odd);
  CheckGradients(Chain(kInnerProduct, type, fields, "y"), vectors);

  const GradientCase large{.batch = 11, .channels = 4, .height = 61, .width = 37};
  const auto compute = [&](const std::string& top, ThreadPool* pool) {
    std::unique_ptr<Net> net = MakeCase(Chain(Scale(4), type, fields, top), large, pool);
    std::vector<float> values = Gradients(net.get());
    values.push_back(net->loss());
    return values;
  };
  const std::vector<float> alone = compute("y", nullptr);
  CHECK(compute("a", nullptr) == alone);
  ThreadPool pool(3);
  CHECK(compute("y", &pool) == alone);
  CHECK(compute("a", &pool) == alone);
}

}  // namespace samovar
