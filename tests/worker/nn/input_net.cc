#include "tests/worker/nn/input_net.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/worker/nn/test_net.h"

namespace samovar {
namespace {

std::string InputText(const std::vector<Given>& inputs) {
  std::string text;
  for (const Given& input : inputs) {
    absl::StrAppend(&text, "layer { name: \"in_", input.name, "\" type: \"Input\" top: \"", input.name,
                    "\" input_param { shape { ");
    for (int dim : input.shape) absl::StrAppend(&text, "dim: ", dim, " ");
    text += "} } }\n";
  }
  return text;
}

NetOptions TestOptions() {
  NetOptions options;
  options.phase = caffe::TEST;
  return options;
}

}  // namespace

std::vector<float> Outputs(const std::vector<Given>& inputs, const std::string& layers,
                           const std::vector<float>& weights) {
  std::unique_ptr<Net> net = MakeNet(InputText(inputs) + layers, TestOptions());
  for (size_t i = 0; i < inputs.size(); ++i) {
    REQUIRE(net->inputs()[i].tops[0].size() == inputs[i].values.size());
    std::copy(inputs[i].values.begin(), inputs[i].values.end(), net->inputs()[i].tops[0].begin());
  }
  REQUIRE(net->weights().size() == weights.size());
  std::copy(weights.begin(), weights.end(), net->weights().begin());
  REQUIRE_OK(net->Forward(0, 0));
  return {net->outputs().begin(), net->outputs().end()};
}

absl::Status StatusOfNet(const std::vector<Given>& inputs, const std::string& layers) {
  return Net::Create(NetFromText(InputText(inputs) + layers), TestOptions()).status();
}

}  // namespace samovar
