#include "tests/worker/nn/test_net.h"

#include <cmath>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/model/layout.h"
#include "google/protobuf/text_format.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {

caffe::NetParameter NetFromText(const std::string& text) {
  caffe::NetParameter net;
  if (!google::protobuf::TextFormat::ParseFromString(text, &net)) std::abort();
  return net;
}

std::string DataText(int batch_size) {
  return absl::StrCat(
      "name: \"test\" layer { name: \"input\" type: \"Data\" top: \"data\" top: \"label\" data_param { batch_size: ",
      batch_size, " backend: LMDB } }\n");
}

std::string LeNetText(int batch_size) {
  return DataText(batch_size) + R"(
    layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1" param { lr_mult: 1 } param { lr_mult: 2 }
            convolution_param { num_output: 20 kernel_size: 5 stride: 1 weight_filler { type: "xavier" } } }
    layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
    layer { name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2" param { lr_mult: 1 } param { lr_mult: 2 }
            convolution_param { num_output: 50 kernel_size: 5 stride: 1 weight_filler { type: "xavier" } } }
    layer { name: "pool2" type: "Pooling" bottom: "conv2" top: "pool2" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
    layer { name: "ip1" type: "InnerProduct" bottom: "pool2" top: "ip1" param { lr_mult: 1 } param { lr_mult: 2 }
            inner_product_param { num_output: 500 weight_filler { type: "xavier" } } }
    layer { name: "relu1" type: "ReLU" bottom: "ip1" top: "ip1" }
    layer { name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2" param { lr_mult: 1 } param { lr_mult: 2 }
            inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" })";
}

std::unique_ptr<Net> MakeNet(const std::string& text, const NetOptions& options) {
  absl::StatusOr<std::unique_ptr<Net>> net = Net::Create(NetFromText(text), options);
  REQUIRE_OK(net);
  return std::move(net).value();
}

NetOptions ImageOptions(caffe::Phase phase, int64_t channels, int64_t height, int64_t width, ThreadPool* pool) {
  NetOptions options;
  options.phase = phase;
  options.input_shapes["input"] = {{channels, height, width}, {}};
  options.pool = pool;
  return options;
}

std::span<float> DataOf(Net* net) { return net->inputs()[0].tops[0]; }
std::span<float> LabelsOf(Net* net) { return net->inputs()[0].tops[1]; }

void FillWeights(Net* net, uint64_t seed, float scale) {
  const uint64_t key = DeriveKey(RandomStream::kFiller, {seed});
  for (size_t i = 0; i < net->weights().size(); ++i)
    net->weights()[i] = scale * (2 * UnitFloat(Philox(key, 1, i)[0]) - 1);
}

void FixStatistics(Net* net) {
  for (const v1::ParameterBlob& blob : net->layout().blobs()) {
    if (blob.rule() != v1::UPDATE_RULE_MOVING_AVERAGE) continue;
    for (float& value : net->weights().subspan(blob.offset(), BlobElements(blob))) value = std::abs(value) + 0.1f;
  }
}

void FillRecords(Net* net, uint64_t seed, int classes) {
  const uint64_t key = DeriveKey(RandomStream::kFiller, {seed});
  for (size_t i = 0; i < DataOf(net).size(); ++i) {
    DataOf(net)[i] = static_cast<float>(Philox(key, 2, i)[0] % 256) / 128 - 1;
  }
  for (size_t i = 0; i < LabelsOf(net).size(); ++i) {
    LabelsOf(net)[i] = static_cast<float>(Philox(key, 3, i)[0] % static_cast<uint32_t>(classes));
  }
}

std::vector<float> Gradients(Net* net) {
  REQUIRE_OK(net->Forward(0, 0));
  REQUIRE_OK(net->Backward([](uint64_t, uint64_t) {}));
  return {net->gradients().begin(), net->gradients().end()};
}

}  // namespace samovar
