// Outputs of single layers, computed by hand.
#include <cmath>
#include <string>
#include <vector>

#include "tests/support/catch.h"
#include "tests/worker/nn/input_net.h"
#include "tests/worker/nn/single_layer.h"

namespace samovar {
namespace {

TEST_CASE("convolution correlates the kernel with the image and adds the bias") {
  const std::string conv =
      R"(layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 1 kernel_size: 2 } })";
  CHECK(Run(conv, Image(1, 2, 3), {1, 2, 3, 4, 5, 6}, {1, 10, 100, 1000, 0.5}) == std::vector<float>{5421.5, 6532.5});
}

TEST_CASE("convolution pads with zeros, strides and dilates") {
  const std::string conv = R"(layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param {
      num_output: 1 kernel_size: 2 pad: 1 stride: 2 dilation: 2 bias_term: false } })";
  // 3x3 padded to 5x5; taps two apart, windows two apart: 2x2 results.
  CHECK(Run(conv, Image(1, 3, 3), {1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 10, 100, 1000}) ==
        std::vector<float>{5000, 500, 50, 5});
}

TEST_CASE("a group of a convolution reads its own channels only") {
  const std::string conv = R"(layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param {
      num_output: 2 kernel_size: 1 group: 2 bias_term: false } })";
  CHECK(Run(conv, Image(2, 1, 2), {1, 2, 3, 4}, {10, 100}) == std::vector<float>{10, 20, 300, 400});
}

TEST_CASE("inner product multiplies by the weights, or by the transposed ones") {
  const std::string ip =
      R"(layer { name: "p" type: "InnerProduct" bottom: "data" top: "p" inner_product_param { num_output: 2 )";
  CHECK(Run(ip + "} }", Image(1, 1, 2), {1, 2}, {1, 10, 100, 1000, 0.5, 0.25}) == std::vector<float>{21.5, 2100.25});
  CHECK(Run(ip + "transpose: true } }", Image(1, 1, 2), {1, 2}, {1, 10, 100, 1000, 0.5, 0.25}) ==
        std::vector<float>{201.5, 2010.25});
  CHECK(Run(ip + "axis: -1 bias_term: false } }", Image(1, 2, 2), {1, 2, 3, 4}, {1, 10, 100, 1000}) ==
        std::vector<float>{21, 2100, 43, 4300});
}

TEST_CASE("ReLU keeps what is positive and scales the rest by negative_slope") {
  CHECK(Run(R"(layer { name: "r" type: "ReLU" bottom: "data" top: "r" relu_param { negative_slope: 0.5 } })",
            Image(1, 1, 3), {-2, 0, 3}, {}) == std::vector<float>{-1, 0, 3});
}

TEST_CASE("softmax is exact enough and survives large scores") {
  const auto p = Run(R"(layer { name: "s" type: "Softmax" bottom: "data" top: "s" })", Image(3, 1, 1),
                     {1000, 1000 + std::log(2.0f), 1000 - 200}, {});
  CHECK(p[0] == Approx(1.0 / 3).epsilon(1e-4));
  CHECK(p[1] == Approx(2.0 / 3).epsilon(1e-4));
  CHECK(p[2] < 1e-30f);
}

TEST_CASE("softmax loss is the mean of -log p over the labels that count") {
  const std::string loss =
      R"(layer { name: "l" type: "SoftmaxWithLoss" bottom: "data" bottom: "label" top: "l" loss_param { )";
  const std::vector<float> scores = {0, std::log(3.0f), 0, 0, 0, 0};
  const std::vector<float> labels = {1, 0, 1};
  const double first = -std::log(0.75), other = std::log(2.0);
  CHECK(Run(loss + "} }", Image(2, 1, 1), scores, {}, labels)[0] == Approx((first + 2 * other) / 3));
  CHECK(Run(loss + "ignore_label: 0 } }", Image(2, 1, 1), scores, {}, labels)[0] == Approx((first + other) / 2));
  CHECK(Run(loss + "ignore_label: 0 normalization: FULL } }", Image(2, 1, 1), scores, {}, labels)[0] ==
        Approx((first + other) / 3));
  CHECK(Run(loss + "normalization: NONE } }", Image(2, 1, 1), scores, {}, labels)[0] == Approx(first + 2 * other));
  CHECK(Run(loss + "ignore_label: 0 } }", Image(2, 1, 1), {0, 0}, {}, {0})[0] == 0);
}

TEST_CASE("softmax and infogain losses over places in a record are divided by places, by records, or not at all") {
  // Two records of two places of two classes that score alike: each place costs log 2. Three labels are not 0.
  const Given scores{"a", {2, 2, 2}, std::vector<float>(8, 1.0f)};
  const Given labels{"b", {2, 2}, {0, 1, 1, 1}};
  const Given unit{"h", {2, 2}, {1, 0, 0, 1}};
  const auto check = [&](const std::string& fields, double places) {
    INFO(fields);
    const std::string param = "loss_param { " + fields + " } }";
    CHECK(Outputs({scores, labels}, R"(layer { name: "l" type: "SoftmaxWithLoss" bottom: "a" bottom: "b" top: "l" )" +
                                        param)[0] == Approx(places * std::log(2.0)));
    CHECK(Outputs({scores, labels, unit},
                  R"(layer { name: "l" type: "InfogainLoss" bottom: "a" bottom: "b" bottom: "h" top: "l" )" +
                      param)[0] == Approx(places * std::log(2.0)));
  };
  check("", 1);
  check("normalization: FULL ignore_label: 0", 3 / 4.0);
  check("normalization: VALID ignore_label: 0", 1);
  check("normalization: BATCH_SIZE ignore_label: 0", 3 / 2.0);
  check("normalization: NONE ignore_label: 0", 3);
  check("normalize: true ignore_label: 0", 1);
  check("normalize: false ignore_label: 0", 3 / 2.0);
  check("normalize: true normalization: NONE", 4);
}

TEST_CASE("accuracy and the losses may have their classes along any axis") {
  // Scores of three classes, last: the second record's second place is wrong.
  const Given scores{"a", {2, 2, 3}, {9, 0, 0, 0, 9, 0, 0, 0, 9, 9, 0, 0}};
  const Given labels{"b", {2, 2}, {0, 1, 2, 1}};
  CHECK(
      Outputs(
          {scores, labels},
          R"(layer { name: "l" type: "Accuracy" bottom: "a" bottom: "b" top: "l" accuracy_param { axis: -1 } })")[0] ==
      0.75f);
  const double right = std::log(1 + 2 * std::exp(-9.0));
  const float loss = Outputs(
      {scores, labels},
      R"(layer { name: "l" type: "SoftmaxWithLoss" bottom: "a" bottom: "b" top: "l" softmax_param { axis: 2 } })")[0];
  CHECK(loss == Approx((4 * right + 9) / 4));
}

TEST_CASE("a probability of zero costs the logarithm of the smallest float") {
  const std::string loss = R"(layer { name: "l" type: "SoftmaxWithLoss" bottom: "data" bottom: "label" top: "l" })";
  const float value = Run(loss, Image(2, 1, 1), {0, 1000}, {}, {0})[0];
  CHECK(value > 80);
  CHECK(value < 88);
}

TEST_CASE("accuracy counts ties against the label, takes top_k, and leaves out ignored labels") {
  const std::string accuracy =
      R"(layer { name: "a" type: "Accuracy" bottom: "data" bottom: "label" top: "a" accuracy_param { )";
  const std::vector<float> scores = {1, 2, 3, 5, 5, 1, 9, 1, 1};
  const std::vector<float> labels = {2, 0, 1};
  CHECK(Run(accuracy + "} }", Image(3, 1, 1), scores, {}, labels)[0] == Approx(1.0 / 3));
  CHECK(Run(accuracy + "top_k: 2 } }", Image(3, 1, 1), scores, {}, labels)[0] == Approx(2.0 / 3));
  CHECK(Run(accuracy + "ignore_label: 1 } }", Image(3, 1, 1), scores, {}, labels)[0] == Approx(1.0 / 2));
}

}  // namespace
}  // namespace samovar
