// Gradients of layers, and of nets in which they meet.
#include <string>

#include "tests/support/catch.h"
#include "tests/worker/nn/gradient_check.h"

namespace samovar {
namespace {

constexpr char kHead[] = R"(
  layer { name: "head" type: "InnerProduct" bottom: "x" top: "head" inner_product_param { num_output: 3 } }
  layer { name: "loss" type: "SoftmaxWithLoss" bottom: "head" bottom: "label" top: "loss" })";

constexpr char kConv[] = R"(
  layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 4 kernel_size: 3 } })";

TEST_CASE("convolution's gradients agree with differences") {
  CheckGradients(
      std::string(kConv) +
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
                 {.width = 8});
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
  CheckGradients(std::string(kConv) +
                 R"(layer { name: "softmax" type: "Softmax" bottom: "conv" top: "x" softmax_param { axis: 2 } })" +
                 kHead);
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
  for (const char* loss : {"normalization: FULL", "normalization: VALID ignore_label: 1",
                           "normalization: BATCH_SIZE ignore_label: 0", "normalize: false ignore_label: 2"}) {
    CheckGradients(R"(
      layer { name: "head" type: "InnerProduct" bottom: "data" top: "head" inner_product_param { num_output: 3 } }
      layer { name: "loss" type: "SoftmaxWithLoss" bottom: "head" bottom: "label" top: "loss" top: "p" loss_weight: 1 loss_weight: 0
              loss_param { )" +
                   std::string(loss) + " } }");
  }
}

}  // namespace
}  // namespace samovar
