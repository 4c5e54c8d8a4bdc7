// Nets whose records change their size.
#include <algorithm>

#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/worker/nn/test_net.h"
#include "worker/nn/net.h"

namespace samovar {
namespace {

// A convolution shared by two layers, batch normalisation, dropout, and a pool over all of the image.
std::string Text() {
  return DataText(1) + R"(
layer { name: "c1" type: "Convolution" bottom: "data" top: "c1" param { name: "w" } param { name: "b" } convolution_param { num_output: 3 kernel_size: 3 pad: 1 } }
layer { name: "n1" type: "BatchNorm" bottom: "c1" top: "c1" }
layer { name: "r1" type: "ReLU" bottom: "c1" top: "c1" }
layer { name: "c2" type: "Convolution" bottom: "c1" top: "c2" param { name: "w" } param { name: "b" } convolution_param { num_output: 3 kernel_size: 3 pad: 1 } }
layer { name: "d2" type: "Dropout" bottom: "c2" top: "c2" }
layer { name: "p2" type: "Pooling" bottom: "c2" top: "p2" pooling_param { pool: AVE global_pooling: true } }
layer { name: "ip" type: "InnerProduct" bottom: "p2" top: "ip" inner_product_param { num_output: 4 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" })";
}

std::map<std::string, std::vector<Shape>> Records(int64_t height, int64_t width) {
  return {{"input", {{3, height, width}, {}}}};
}

TEST_CASE("a net for records of another size computes what a net that was made for them does, from the same memory") {
  const auto net = MakeNet(Text(), ImageOptions(caffe::TRAIN, 3, 6, 7));
  FillWeights(net.get(), 1);
  const float* const weights = net->weights().data();
  const float* const gradients = net->gradients().data();
  FillRecords(net.get(), 2, 4);
  Gradients(net.get());
  for (const auto& [height, width] : std::vector<std::pair<int, int>>{{9, 5}, {4, 4}, {6, 7}, {6, 7}}) {
    const std::vector<float> before(net->gradients().begin(), net->gradients().end());
    REQUIRE_OK(net->Reshape(Records(height, width)));
    CHECK(net->input_shapes() == Records(height, width));
    CHECK(net->weights().data() == weights);
    CHECK(net->gradients().data() == gradients);
    CHECK(std::equal(before.begin(), before.end(), net->gradients().begin()));
    const auto made = MakeNet(Text(), ImageOptions(caffe::TRAIN, 3, height, width));
    FillWeights(made.get(), 1);
    for (Net* each : {net.get(), made.get()}) FillRecords(each, static_cast<uint64_t>(height), 4);
    CHECK(DataOf(net.get()).size() == static_cast<size_t>(3 * height * width));
    CHECK(Gradients(net.get()) == Gradients(made.get()));
    CHECK(net->loss() == made->loss());
  }
}

TEST_CASE("a net whose weights or outputs depend on the records' size stays as it is when they change it") {
  const std::string fixed = DataText(1) + R"(
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 4 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" })";
  const std::string shown = DataText(1) + R"(
layer { name: "c1" type: "Convolution" bottom: "data" top: "c1" convolution_param { num_output: 2 kernel_size: 3 } }
layer { name: "s" type: "Silence" bottom: "label" })";
  for (const auto& [text, refusal] :
       {std::pair(fixed, "layer \"ip\": its parameter 0 is [4, 60] for this record, and [4, 126] for others"),
        std::pair(shown, "add a Silence layer that reads them")}) {
    const auto net = MakeNet(text, ImageOptions(caffe::TEST, 3, 6, 7));
    FillWeights(net.get(), 1);
    FillRecords(net.get(), 2, 4);
    REQUIRE_OK(net->Forward(0, 1));
    const std::vector<float> outputs(net->outputs().begin(), net->outputs().end());
    REQUIRE_STATUS(net->Reshape(Records(4, 5)), absl::StatusCode::kInvalidArgument, refusal);
    REQUIRE_OK(net->Forward(0, 1));
    CHECK(std::equal(outputs.begin(), outputs.end(), net->outputs().begin(), net->outputs().end()));
  }
}

}  // namespace
}  // namespace samovar
