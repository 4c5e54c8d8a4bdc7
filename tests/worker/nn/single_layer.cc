#include "tests/worker/nn/single_layer.h"

#include <algorithm>

#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/worker/nn/test_net.h"

namespace samovar {

NetOptions Image(int channels, int height, int width) { return ImageOptions(caffe::TEST, channels, height, width); }

std::vector<float> Run(const std::string& layers, const NetOptions& options, const std::vector<float>& data,
                       const std::vector<float>& weights, const std::vector<float>& labels) {
  std::unique_ptr<Net> net = MakeNet(DataText(static_cast<int>(labels.size())) + layers, options);
  REQUIRE(DataOf(net.get()).size() == data.size());
  REQUIRE(net->weights().size() == weights.size());
  std::copy(data.begin(), data.end(), DataOf(net.get()).begin());
  std::copy(weights.begin(), weights.end(), net->weights().begin());
  std::copy(labels.begin(), labels.end(), LabelsOf(net.get()).begin());
  REQUIRE_OK(net->Forward(0, 0));
  std::vector<float> values;
  for (int i = 0; i < net->output_specs().outputs_size(); ++i) {
    if (net->output_specs().outputs(i).name() != "label") values.push_back(net->outputs()[static_cast<size_t>(i)]);
  }
  return values;
}

}  // namespace samovar
