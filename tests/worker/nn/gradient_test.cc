// Gradients against double-sided differences of the loss.
//
// Tolerance: the loss is of order 1 and rounded to 1e-7 or so after sums of at most some hundred terms (5e-7 in all); a step of
// 4e-3 makes of that 5e-7 / 8e-3 = 6e-5. The third derivative adds about step^2 / 6 = 3e-6 times a factor of a few. 1e-3 of the
// larger of 1 and the gradient leaves room; a wrong term shows as 1e-2 or more. What a step moves over a kink of a maximum or
// of ReLU is kept rare by few kinks and counted: at most 2 % of the weights may miss the tolerance, and none by far.
#include <algorithm>
#include <cmath>
#include <string>

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

// 4x6x7 records, 11 of them: more than one piece, the last one short.
void CheckGradients(const std::string& layers, int width = 7) {
  std::unique_ptr<Net> net = MakeNet(DataText(11) + layers, ImageOptions(caffe::TRAIN, 4, 6, width));
  FillWeights(net.get(), 5, 0.3f);
  FillRecords(net.get(), 6, 3);
  const std::vector<float> gradients = Gradients(net.get());
  constexpr float kStep = 4e-3f;
  size_t missed = 0;
  float largest = 0;
  for (size_t i = 0; i < gradients.size(); ++i) {
    const float weight = net->weights()[i];
    const float difference = (LossAt(net.get(), i, weight + kStep) - LossAt(net.get(), i, weight - kStep)) / (2 * kStep);
    net->weights()[i] = weight;
    const float error = std::abs(difference - gradients[i]) / std::max(1.0f, std::abs(gradients[i]));
    largest = std::max(largest, std::abs(gradients[i]));
    missed += error > 1e-3f;
    INFO("weight " << i << ": difference " << difference << ", gradient " << gradients[i]);
    REQUIRE(error < 3e-2f);
  }
  CHECK(missed * 50 <= gradients.size());
  CHECK(largest > 0.05f);
}

constexpr char kHead[] = R"(
  layer { name: "head" type: "InnerProduct" bottom: "x" top: "head" inner_product_param { num_output: 3 } }
  layer { name: "loss" type: "SoftmaxWithLoss" bottom: "head" bottom: "label" top: "loss" })";

constexpr char kConv[] = R"(
  layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 4 kernel_size: 3 } })";

TEST_CASE("convolution's gradients agree with differences") {
  CheckGradients(std::string(kConv) +
                 R"(layer { name: "next" type: "Convolution" bottom: "conv" top: "x" convolution_param { num_output: 3 kernel_size: 2 } })" +
                 kHead);
}

TEST_CASE("gradients of convolution with group, stride, padding and dilation, without bias, agree with differences") {
  CheckGradients(std::string(kConv) + R"(
      layer { name: "next" type: "Convolution" bottom: "conv" top: "x" convolution_param {
        num_output: 6 group: 2 kernel_h: 2 kernel_w: 3 stride_h: 2 stride_w: 1 pad: 2 dilation: 2 dilation: 1 bias_term: false } })" +
                 kHead);
}

// A channel scaled by a weight of its own keeps the places of its maxima, so that pooling has no kink near the weights.
constexpr char kScale[] = R"(
  layer { name: "scale" type: "Convolution" bottom: "data" top: "scale" convolution_param { num_output: 4 kernel_size: 1 group: 4 } })";

TEST_CASE("overlapping max pooling's gradient agrees with differences") {
  CheckGradients(std::string(kScale) + R"(
      layer { name: "pool" type: "Pooling" bottom: "scale" top: "x" pooling_param { pool: MAX kernel_size: 3 stride: 2 pad: 1 } })" +
                 kHead);
}

TEST_CASE("two by two max pooling's gradient agrees with differences") {
  CheckGradients(std::string(kScale) + R"(
      layer { name: "pool" type: "Pooling" bottom: "scale" top: "x" pooling_param { pool: MAX kernel_size: 2 stride: 2 } })" +
                     kHead,
                 /*width=*/8);
}

TEST_CASE("average pooling's gradient agrees with differences") {
  CheckGradients(std::string(kConv) + R"(
      layer { name: "pool" type: "Pooling" bottom: "conv" top: "x" pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 } })" +
                 kHead);
}

TEST_CASE("gradients of inner products along an axis, transposed and without bias, agree with differences") {
  CheckGradients(R"(
      layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" inner_product_param { num_output: 5 axis: 2 } }
      layer { name: "b" type: "InnerProduct" bottom: "a" top: "x" inner_product_param { num_output: 6 transpose: true bias_term: false } })" +
                 std::string(kHead));
}

TEST_CASE("leaky ReLU's gradient agrees with differences, in place or not") {
  for (const char* top : {"a", "y"}) {
    CheckGradients(R"(
      layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" inner_product_param { num_output: 5 } }
      layer { name: "relu" type: "ReLU" bottom: "a" top: ")" +
                   std::string(top) + R"(" relu_param { negative_slope: 0.2 } }
      layer { name: "b" type: "InnerProduct" bottom: ")" +
                   top + R"(" top: "x" inner_product_param { num_output: 4 } })" + kHead);
  }
}

TEST_CASE("softmax's gradient along an axis agrees with differences") {
  CheckGradients(std::string(kConv) + R"(layer { name: "softmax" type: "Softmax" bottom: "conv" top: "x" softmax_param { axis: 2 } })" + kHead);
}

TEST_CASE("gradients of a blob with several readers and weighted losses add up") {
  CheckGradients(std::string(kConv) + R"(
      layer { name: "a" type: "InnerProduct" bottom: "conv" top: "x" inner_product_param { num_output: 4 } }
      layer { name: "b" type: "InnerProduct" bottom: "conv" top: "b" loss_weight: 0.01 inner_product_param { num_output: 3 } }
      layer { name: "c" type: "InnerProduct" bottom: "x" top: "c" inner_product_param { num_output: 3 } }
      layer { name: "side" type: "SoftmaxWithLoss" bottom: "c" bottom: "label" top: "side" loss_weight: 0.3 }
      layer { name: "accuracy" type: "Accuracy" bottom: "c" bottom: "label" top: "accuracy" })" +
                 kHead);
}

TEST_CASE("gradients of every normalization of the loss agree with differences") {
  for (const char* loss : {"normalization: FULL", "normalization: VALID ignore_label: 1", "normalization: BATCH_SIZE ignore_label: 0",
                           "normalize: false ignore_label: 2"}) {
    CheckGradients(R"(
      layer { name: "head" type: "InnerProduct" bottom: "data" top: "head" inner_product_param { num_output: 3 } }
      layer { name: "loss" type: "SoftmaxWithLoss" bottom: "head" bottom: "label" top: "loss" top: "p" loss_weight: 1 loss_weight: 0
              loss_param { )" + std::string(loss) + " } }");
  }
}

}  // namespace
}  // namespace samovar
