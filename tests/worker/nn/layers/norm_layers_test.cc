// Values of the layers that normalise and scale, worked out by hand, and batch norm's statistics.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/model/layout.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/worker/nn/input_net.h"
#include "tests/worker/nn/test_net.h"

namespace samovar {
namespace {

constexpr char kInput[] =
    R"(layer { name: "in" type: "Input" top: "a" input_param { shape { dim: 2 dim: 2 dim: 1 dim: 2 } } })";
// Two records of two channels of two values: channel 0 has 1, 3, 5, 7 (mean 4, variance 5), channel 1 has 2, 2, 2, 6
// (mean 3, variance 3).
const std::vector<float> kValues = {1, 3, 2, 2, 5, 7, 2, 6};

std::unique_ptr<Net> NormNet(caffe::Phase phase, const std::string& fields) {
  NetOptions options;
  options.phase = phase;
  const std::string text = absl::StrCat(
      kInput, R"(layer { name: "norm" type: "BatchNorm" bottom: "a" top: "x" batch_norm_param { )", fields, R"( } }
      layer { name: "loss" type: "InnerProduct" bottom: "x" top: "loss" loss_weight: 1 inner_product_param { num_output: 1 axis: 0 } })");
  std::unique_ptr<Net> net = MakeNet(text, options);
  std::copy(kValues.begin(), kValues.end(), net->inputs()[0].tops[0].begin());
  return net;
}

// The layer's results for kValues, read one by one through the weights of the loss.
std::vector<float> Normalised(Net* net) {
  std::vector<float> values;
  for (size_t i = 0; i < kValues.size(); ++i) {
    for (size_t j = 0; j < kValues.size(); ++j) net->weights()[5 + j] = i == j;
    REQUIRE_OK(net->Forward(0, 0));
    values.push_back(net->loss());
  }
  return values;
}

void CheckNear(const std::vector<float>& values, const std::vector<double>& expected) {
  REQUIRE(values.size() == expected.size());
  for (size_t i = 0; i < values.size(); ++i) {
    INFO("value " << i);
    CHECK(values[i] == Approx(expected[i]).margin(1e-6));
  }
}

TEST_CASE("batch norm normalises by the batch's mean and biased variance when training") {
  std::unique_ptr<Net> net = NormNet(caffe::TRAIN, "eps: 4");
  const double a = 3, b = std::sqrt(7.0);
  CheckNear(Normalised(net.get()), {-3 / a, -1 / a, -1 / b, -1 / b, 1 / a, 3 / a, -1 / b, 3 / b});
}

TEST_CASE("batch norm's mean and variance are right to float's precision for planes of any size, far from 0 too") {
  const int places = GENERATE(2, 15, 16, 17, 63, 64, 65, 255, 256, 257, 1000);
  const double offset = GENERATE(0.0, -3.0, 1000.0);
  constexpr int kRecords = 3, kChannels = 2;
  const std::string text =
      absl::StrCat("layer { name: \"in\" type: \"Input\" top: \"a\" input_param { shape { dim: ", kRecords,
                   " dim: ", kChannels, " dim: 1 dim: ", places, R"( } } }
      layer { name: "norm" type: "BatchNorm" bottom: "a" top: "x" }
      layer { name: "loss" type: "InnerProduct" bottom: "x" top: "loss" loss_weight: 1 inner_product_param { num_output: 1 axis: 0 } })");
  const std::unique_ptr<Net> net = MakeNet(text, NetOptions());
  const std::span<float> values = net->inputs()[0].tops[0];
  std::vector<double> means(kChannels, 0), variances(kChannels, 0);
  const auto channel = [&](size_t i) { return i / static_cast<size_t>(places) % kChannels; };
  const double m = static_cast<double>(kRecords) * places;
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(offset + std::sin(static_cast<double>(i * i)) * (channel(i) == 0 ? 1 : 0.25));
    means[channel(i)] += values[i] / m;
  }
  for (size_t i = 0; i < values.size(); ++i)
    variances[channel(i)] += (values[i] - means[channel(i)]) * (values[i] - means[channel(i)]) / (m - 1);
  const std::vector<float> gradients = Gradients(net.get());
  for (size_t c = 0; c < kChannels; ++c) {
    INFO(places << " places, channel " << c);
    CHECK(gradients[c] == Approx(means[c]).epsilon(1e-6).margin(1e-7));
    CHECK(gradients[kChannels + c] == Approx(variances[c]).epsilon(2e-6));
  }
}

TEST_CASE("batch norm measures mean, unbiased variance and 1, which a moving average merges as Caffe does") {
  std::unique_ptr<Net> net = NormNet(caffe::TRAIN, "moving_average_fraction: 0.5");
  REQUIRE_OK(CheckLayout(net->layout()));
  REQUIRE(net->layout().blobs_size() == 5);
  for (int i = 0; i < 3; ++i) {
    CHECK(net->layout().blobs(i).rule() == v1::UPDATE_RULE_MOVING_AVERAGE);
    CHECK(net->layout().blobs(i).moving_average_fraction() == 0.5f);
  }
  REQUIRE_OK(net->Forward(0, 0));
  const std::vector<double> measured = {4, 3, 5 * 4.0 / 3, 3 * 4.0 / 3, 1};
  REQUIRE_OK(net->Backward([](uint64_t, uint64_t) {}));
  CheckNear({net->gradients().begin(), net->gradients().begin() + 5}, measured);
  // Two updates by the server's rule; the totals are then divided by 1.5.
  std::vector<float> totals(5, 0.0f);
  for (int update = 0; update < 2; ++update) {
    for (size_t i = 0; i < 5; ++i) totals[i] = 0.5f * totals[i] + net->gradients()[i];
  }
  CheckNear(totals, {6, 4.5, 10, 6, 1.5});
  std::unique_ptr<Net> test = NormNet(caffe::TEST, "eps: 0");
  std::copy(totals.begin(), totals.end(), test->weights().begin());
  const double a = std::sqrt(20.0 / 3), b = 2;
  CheckNear(Normalised(test.get()), {-3 / a, -1 / a, -1 / b, -1 / b, 1 / a, 3 / a, -1 / b, 3 / b});
}

TEST_CASE("batch norm of one value a channel measures a variance of 0") {
  const std::string text = R"(layer { name: "in" type: "Input" top: "a" input_param { shape { dim: 1 dim: 3 } } }
      layer { name: "norm" type: "BatchNorm" bottom: "a" top: "x" }
      layer { name: "loss" type: "InnerProduct" bottom: "x" top: "loss" loss_weight: 1 inner_product_param { num_output: 1 } })";
  std::unique_ptr<Net> net = MakeNet(text, NetOptions());
  std::fill(net->inputs()[0].tops[0].begin(), net->inputs()[0].tops[0].end(), 7.0f);
  const std::vector<float> gradients = Gradients(net.get());
  CheckNear({gradients.begin(), gradients.begin() + 7}, {7, 7, 7, 0, 0, 0, 1});
}

TEST_CASE("batch norm measures where nothing below it learns and no loss is above it") {
  std::unique_ptr<Net> net =
      MakeNet(std::string(kInput) + R"(layer { name: "norm" type: "BatchNorm" bottom: "a" top: "x" }
      layer { name: "quiet" type: "Silence" bottom: "x" }
      layer { name: "w" type: "Parameter" top: "w" parameter_param { shape { dim: 1 } } }
      layer { name: "loss" type: "Reduction" bottom: "w" top: "loss" loss_weight: 1 })",
              NetOptions());
  std::copy(kValues.begin(), kValues.end(), net->inputs()[0].tops[0].begin());
  const std::vector<float> gradients = Gradients(net.get());
  CheckNear({gradients.begin(), gradients.begin() + 5}, {4, 3, 5 * 4.0 / 3, 3 * 4.0 / 3, 1});
}

TEST_CASE("towers that share batch norm's statistics move them one after the other, as Caffe does") {
  auto tower = [](const std::string& name, const std::string& bottom, const std::string& fields) {
    return absl::StrCat("layer { name: \"", name, "\" type: \"BatchNorm\" bottom: \"", bottom, "\" top: \"", name,
                        "\" ",
                        "param { name: \"mean\" lr_mult: 0 } param { name: \"variance\" } param { name: \"factor\" } "
                        "batch_norm_param { ",
                        fields, " } }\nlayer { name: \"loss_", name, "\" type: \"Reduction\" bottom: \"", name,
                        "\" top: \"loss_", name, "\" loss_weight: 1 }\n");
  };
  const std::string second =
      R"(layer { name: "in2" type: "Input" top: "b" input_param { shape { dim: 2 dim: 2 dim: 1 dim: 2 } } })";
  std::unique_ptr<Net> net = MakeNet(absl::StrCat(kInput, second, tower("x", "a", "moving_average_fraction: 0.5"),
                                                  tower("y", "b", "moving_average_fraction: 0.25")),
                                     NetOptions());
  REQUIRE_OK(CheckLayout(net->layout()));
  REQUIRE(net->layout().elements() == 5);
  std::copy(kValues.begin(), kValues.end(), net->inputs()[0].tops[0].begin());
  std::transform(kValues.begin(), kValues.end(), net->inputs()[1].tops[0].begin(),
                 [](float value) { return 2 * value; });
  const std::vector<float> gradients = Gradients(net.get());
  // Half of the old value is kept, the first tower's measurement is added; a quarter of that is kept, the second
  // tower's is added.
  for (const v1::ParameterBlob& blob : net->layout().blobs()) CHECK(blob.moving_average_fraction() == 0.125f);
  CheckNear(gradients, {4 / 4.0 + 8, 3 / 4.0 + 6, 5 * 4.0 / 3 * (0.25 + 4), 3 * 4.0 / 3 * (0.25 + 4), 1.25});
}

TEST_CASE("batch norm's statistics are not shared with what is learnt, nor between different numbers of channels") {
  auto status = [](const std::string& layers) {
    return Net::Create(NetFromText(kInput + layers), NetOptions()).status();
  };
  const std::string norm = R"(layer { name: "norm" type: "BatchNorm" bottom: "a" top: "x" param { name: "m" } })";
  const absl::Status learnt =
      status(R"(layer { name: "scale" type: "Bias" bottom: "a" top: "y" param { name: "m" } })" + norm);
  CHECK(learnt.code() == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(std::string(learnt.message()), Catch::Contains("one of the two is learnt and the other one measured"));
  const absl::Status channels = status(norm + R"(layer { name: "join" type: "Concat" bottom: "a" bottom: "x" top: "z" }
      layer { name: "norm2" type: "BatchNorm" bottom: "z" top: "y" param { name: "m" } })");
  CHECK(channels.code() == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(std::string(channels.message()), Catch::Contains("which has shape"));
}

TEST_CASE("batch norm with a scale factor of 0 takes mean and variance for 0") {
  std::unique_ptr<Net> net = NormNet(caffe::TEST, "eps: 4");
  const std::vector<float> totals = {8, 8, 8, 8, 0};
  std::copy(totals.begin(), totals.end(), net->weights().begin());
  CheckNear(Normalised(net.get()), {0.5, 1.5, 1, 1, 2.5, 3.5, 1, 3});
}

TEST_CASE("batch norm by the totals leaves them as they are when training, whatever the net's rate and decay") {
  std::unique_ptr<Net> net = NormNet(caffe::TRAIN, "use_global_stats: true eps: 0");
  const std::vector<float> totals = {2, 4, 8, 32, 2};
  std::copy(totals.begin(), totals.end(), net->weights().begin());
  CheckNear(Normalised(net.get()), {0, 1, 0, 0, 2, 3, 0, 1});
  std::fill(net->gradients().begin(), net->gradients().end(), 9.0f);
  const std::vector<float> gradients = Gradients(net.get());
  for (int i = 0; i < 3; ++i) {
    const v1::ParameterBlob& blob = net->layout().blobs(i);
    CHECK(blob.rule() == v1::UPDATE_RULE_MOVING_AVERAGE);
    CHECK(blob.moving_average_fraction() == 1);
    CHECK(blob.lr_mult() == 0);
    CHECK(blob.decay_mult() == 0);
  }
  CHECK(std::vector<float>(gradients.begin(), gradients.begin() + 5) == std::vector<float>(5, 0.0f));
}

TEST_CASE("batch norm by the batch when testing measures nothing") {
  std::unique_ptr<Net> net = NormNet(caffe::TEST, "use_global_stats: false eps: 4");
  const double a = 3, b = std::sqrt(7.0);
  CheckNear(Normalised(net.get()), {-3 / a, -1 / a, -1 / b, -1 / b, 1 / a, 3 / a, -1 / b, 3 / b});
  CHECK(std::vector<float>(net->gradients().begin(), net->gradients().begin() + 5) == std::vector<float>(5, 0.0f));
}

TEST_CASE("scale multiplies along its axes and adds the bias that follows it") {
  const Given a{"a", {2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8}};
  auto scale = [&](const std::string& fields, const std::vector<float>& weights) {
    return Outputs({a}, R"(layer { name: "s" type: "Scale" bottom: "a" top: "a" scale_param { )" + fields + " } }",
                   weights);
  };
  CHECK(scale("", {10, 100}) == std::vector<float>{10, 20, 300, 400, 50, 60, 700, 800});
  CHECK(scale("bias_term: true", {10, 100, 1, 2}) == std::vector<float>{11, 21, 302, 402, 51, 61, 702, 802});
  CHECK(scale("axis: 0", {10, 100}) == std::vector<float>{10, 20, 30, 40, 500, 600, 700, 800});
  CHECK(scale("axis: -1 bias_term: true", {10, 100, 1, 2}) == std::vector<float>{11, 202, 31, 402, 51, 602, 71, 802});
  CHECK(scale("num_axes: -1", {1, 10, 100, 1000}) == std::vector<float>{1, 20, 300, 4000, 5, 60, 700, 8000});
  CHECK(scale("num_axes: 0 bias_term: true", {10, 1}) == std::vector<float>{11, 21, 31, 41, 51, 61, 71, 81});
}

TEST_CASE("scale and bias may take a second bottom, whose shape says which axes it covers") {
  const Given a{"a", {2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8}};
  const Given b{"b", {2}, {10, 100}};
  CHECK(
      Outputs(
          {a, b},
          R"(layer { name: "s" type: "Scale" bottom: "a" bottom: "b" top: "x" scale_param { axis: 0 bias_term: true } })",
          {1, 2}) == std::vector<float>{11, 21, 31, 41, 502, 602, 702, 802});
  CHECK(Outputs({a, b}, R"(layer { name: "s" type: "Bias" bottom: "a" bottom: "b" top: "x" })") ==
        std::vector<float>{11, 12, 103, 104, 15, 16, 107, 108});
}

TEST_CASE("scale's filler is 1 unless one is given") {
  std::unique_ptr<Net> net = MakeNet(std::string(kInput) + R"(
      layer { name: "s" type: "Scale" bottom: "a" top: "b" }
      layer { name: "t" type: "Scale" bottom: "b" top: "c" scale_param { filler { value: 3 } bias_term: true bias_filler { value: 4 } } }
      layer { name: "u" type: "Scale" bottom: "c" top: "d" scale_param { filler { } } loss_weight: 1 })",
                                     NetOptions());
  REQUIRE_OK(CheckLayout(net->layout()));
  REQUIRE_OK(FillLayoutRange(net->layout(), 3, 0, net->weights()));
  CHECK(std::vector<float>(net->weights().begin(), net->weights().end()) == std::vector<float>{1, 1, 3, 3, 4, 4, 0, 0});
}

TEST_CASE("response normalisation sums squares over neighbouring channels") {
  const Given a{"a", {1, 4, 1, 2}, {1, 2, 2, 0, 3, 1, 4, 0}};
  auto lrn = [&](const std::string& fields) {
    return Outputs({a}, R"(layer { name: "n" type: "LRN" bottom: "a" top: "a" lrn_param { )" + fields + " } }");
  };
  // s = 1 + 2 * sum: sums 5, 14, 29, 25 and 4, 5, 1, 1.
  CheckNear(lrn("local_size: 3 alpha: 6 beta: 1"), {1 / 11.0, 2 / 9.0, 2 / 29.0, 0, 3 / 59.0, 1 / 3.0, 4 / 51.0, 0});
  CheckNear(lrn("local_size: 3 alpha: 6"), {std::pow(11, -0.75), 2 * std::pow(9, -0.75), 2 * std::pow(29, -0.75), 0,
                                            3 * std::pow(59, -0.75), std::pow(3, -0.75), 4 * std::pow(51, -0.75), 0});
  CheckNear(lrn("local_size: 3 alpha: 6 beta: 0.3 k: 2"),
            {std::pow(12, -0.3), 2 * std::pow(10, -0.3), 2 * std::pow(30, -0.3), 0, 3 * std::pow(60, -0.3),
             std::pow(4, -0.3), 4 * std::pow(52, -0.3), 0});
  // A window wider than the channels.
  CheckNear(lrn("local_size: 9 alpha: 9 beta: 0.5"), {1 / std::sqrt(31.0), 2 / std::sqrt(6.0), 2 / std::sqrt(31.0), 0,
                                                      3 / std::sqrt(31.0), 1 / std::sqrt(6.0), 4 / std::sqrt(31.0), 0});
}

TEST_CASE("a large value leaves nothing behind in the sums of channels it is not near to") {
  CHECK(Outputs({{"a", {1, 4, 1, 1}, {1e4f, 1, 1, 1}}}, R"(layer { name: "n" type: "LRN" bottom: "a" top: "a"
      lrn_param { local_size: 1 alpha: 3 beta: 0.5 } })")[2] == 0.5f);
}

TEST_CASE("response normalisation within a channel averages squares over a square, whose part outside counts as 0") {
  const Given a{"a", {1, 1, 2, 3}, {1, 2, 3, 4, 5, 6}};
  // Sums of squares: 1 + 4 + 16 + 25 = 46, 91, 74, and the same below; s = 1 + 9 / 9 * sum.
  CheckNear(Outputs({a}, R"(layer { name: "n" type: "LRN" bottom: "a" top: "x"
      lrn_param { norm_region: WITHIN_CHANNEL local_size: 3 alpha: 9 beta: 1 } })"),
            {1 / 47.0, 2 / 92.0, 3 / 75.0, 4 / 47.0, 5 / 92.0, 6 / 75.0});
}

TEST_CASE("mean and variance normalisation works on planes, or on records") {
  const Given a{"a", {1, 2, 1, 2}, {1, 3, 5, 13}};
  auto mvn = [&](const std::string& fields) {
    return Outputs({a}, R"(layer { name: "n" type: "MVN" bottom: "a" top: "x" mvn_param { )" + fields + " } }");
  };
  CheckNear(mvn("eps: 1"), {-0.5, 0.5, -0.8, 0.8});
  CheckNear(mvn("normalize_variance: false"), {-1, 1, -4, 4});
  CheckNear(mvn("normalize_variance: false across_channels: true"), {-4.5, -2.5, -0.5, 7.5});
}

}  // namespace
}  // namespace samovar
