#include "tests/worker/nn/blob_gradients.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/worker/nn/test_net.h"

namespace samovar {
namespace {

constexpr char kRowLoss[] = "loss_of_";

size_t ElementsOf(const v1::ParameterBlob& blob) {
  return static_cast<size_t>(Elements(Shape(blob.shape().begin(), blob.shape().end())));
}

bool IsParameterLayer(const Net& net, const std::string& name) {
  for (size_t i = 0; i < net.layers(); ++i) {
    if (net.layer(i).name() == name) return net.layer(i).type() == "Parameter";
  }
  return false;
}

// Places of the flat vector that Parameter layers have.
std::vector<size_t> PlacesOfParameters(const Net& net) {
  std::vector<size_t> places;
  for (const v1::ParameterBlob& blob : net.layout().blobs()) {
    if (!IsParameterLayer(net, blob.layer())) continue;
    for (size_t i = 0; i < ElementsOf(blob); ++i) places.push_back(blob.offset() + i);
  }
  return places;
}

void SpreadParameters(Net* net, const BlobValues& values) {
  const std::vector<size_t> places = PlacesOfParameters(*net);
  // A multiple of 4, so that neither 0 nor half of the reach is hit.
  const size_t steps = (places.size() + 3) / 4 * 4;
  std::vector<size_t> order(steps);
  std::iota(order.begin(), order.end(), size_t{0});
  const uint64_t key = DeriveKey(RandomStream::kFiller, {7});
  for (size_t i = steps; i > 1; --i) std::swap(order[i - 1], order[Philox(key, 1, i)[0] % i]);
  for (size_t i = 0; i < places.size(); ++i) {
    const float share = (2 * static_cast<float>(order[i]) + 1) / static_cast<float>(steps) - 1;
    net->weights()[places[i]] = values.middle + values.reach * share;
  }
}

float LossAt(Net* net, size_t weight, float value) {
  net->weights()[weight] = value;
  REQUIRE_OK(net->Forward(0, 0));
  return net->loss();
}

}  // namespace

std::string Learnt(const std::string& name, const std::vector<int>& shape) {
  std::string text =
      absl::StrCat("layer { name: \"", name, "\" type: \"Parameter\" top: \"", name, "\" parameter_param { shape { ");
  for (int dim : shape) absl::StrAppend(&text, "dim: ", dim, " ");
  return text + "} } }\n";
}

std::string RowLoss(const std::string& bottom) {
  return absl::StrCat("layer { name: \"", kRowLoss, bottom, "\" type: \"InnerProduct\" bottom: \"", bottom,
                      "\" top: \"", kRowLoss, bottom,
                      "\" loss_weight: 1 inner_product_param { num_output: 1 axis: 0 bias_term: false } }\n");
}

std::string LayerText(const std::string& type, const std::vector<std::string>& bottoms,
                      const std::vector<std::string>& tops, const std::string& fields) {
  std::string text = absl::StrCat("layer { name: \"tested\" type: \"", type, "\" ");
  for (const std::string& bottom : bottoms) absl::StrAppend(&text, "bottom: \"", bottom, "\" ");
  for (const std::string& top : tops) absl::StrAppend(&text, "top: \"", top, "\" ");
  return absl::StrCat(text, fields, " }\n");
}

std::unique_ptr<Net> NetOfBlobs(const std::string& layers, const BlobValues& values) {
  std::unique_ptr<Net> net = MakeNet(layers, NetOptions());
  FillWeights(net.get(), 5);
  for (const v1::ParameterBlob& blob : net->layout().blobs()) {
    if (blob.rule() != v1::UPDATE_RULE_MOVING_AVERAGE) continue;
    for (size_t i = 0; i < ElementsOf(blob); ++i)
      net->weights()[blob.offset() + i] = 1 + net->weights()[blob.offset() + i] / 2;
  }
  SpreadParameters(net.get(), values);
  REQUIRE(net->inputs().size() == values.inputs.size());
  for (size_t i = 0; i < values.inputs.size(); ++i) {
    REQUIRE(net->inputs()[i].tops[0].size() == values.inputs[i].size());
    std::copy(values.inputs[i].begin(), values.inputs[i].end(), net->inputs()[i].tops[0].begin());
  }
  return net;
}

void CheckBlobGradients(const std::string& layers, const BlobValues& values) {
  INFO(layers);
  std::unique_ptr<Net> net = NetOfBlobs(layers, values);
  const std::vector<float> gradients = Gradients(net.get());
  // The values that the first pass left behind do not matter.
  REQUIRE(Gradients(net.get()) == gradients);
  constexpr float kStep = 4e-3f;
  constexpr size_t kWeightsOfABlob = 200;
  float largest = 0;
  for (const v1::ParameterBlob& blob : net->layout().blobs()) {
    if (blob.lr_mult() == 0 || absl::StartsWith(blob.layer(), kRowLoss)) continue;
    const size_t elements = ElementsOf(blob);
    for (size_t k = 0; k < elements; k += (elements + kWeightsOfABlob - 1) / kWeightsOfABlob) {
      const size_t i = blob.offset() + k;
      const float weight = net->weights()[i];
      const float difference =
          (LossAt(net.get(), i, weight + kStep) - LossAt(net.get(), i, weight - kStep)) / (2 * kStep);
      net->weights()[i] = weight;
      largest = std::max(largest, std::abs(gradients[i]));
      INFO(blob.layer() << " " << k << ": difference " << difference << ", gradient " << gradients[i]);
      REQUIRE(std::abs(difference - gradients[i]) <= 1e-3f * std::max(1.0f, std::abs(gradients[i])));
    }
  }
  CHECK(largest > 0.05f);
}

}  // namespace samovar
