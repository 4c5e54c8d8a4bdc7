// How far exp, log and their kin are from the true values, in units in the last place.
#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/worker/nn/test_net.h"

namespace samovar {
namespace {

// 20,000 floats from `low` to `high`, both above 0, evenly by their bits.
std::vector<float> Between(float low, float high) {
  constexpr uint64_t kSteps = 20000;
  const uint64_t begin = std::bit_cast<uint32_t>(low), end = std::bit_cast<uint32_t>(high);
  std::vector<float> values;
  for (uint64_t i = 0; i <= kSteps; ++i)
    values.push_back(std::bit_cast<float>(static_cast<uint32_t>(begin + (end - begin) * i / kSteps)));
  return values;
}

std::vector<float> Minus(std::vector<float> values) {
  for (float& value : values) value = -value;
  return values;
}

// The blob that the last of the layers writes.
std::vector<float> Values(const std::string& layer, const std::string& top, NetOptions options,
                          const std::vector<float>& data) {
  options.keep_blobs = true;
  const std::unique_ptr<Net> net = MakeNet(DataText(1) + layer, options);
  std::copy(data.begin(), data.end(), DataOf(net.get()).begin());
  REQUIRE_OK(net->Forward(0, 0));
  const absl::StatusOr<NetBlob> blob = net->FindBlob(top);
  REQUIRE_OK(blob);
  return {blob->values.begin(), blob->values.end()};
}

std::vector<float> Apply(const std::string& type, const std::vector<float>& data) {
  return Values(absl::StrCat("layer { name: \"x\" type: \"", type, "\" bottom: \"data\" top: \"x\" }"), "x",
                ImageOptions(caffe::TEST, 1, 1, static_cast<int>(data.size())), data);
}

// The largest distance from what `truth` makes of the values.
double WorstUlps(const std::string& type, const std::vector<float>& data, double (*truth)(double)) {
  const std::vector<float> values = Apply(type, data);
  REQUIRE(values.size() == data.size());
  double worst = 0;
  for (size_t i = 0; i < data.size(); ++i) {
    const double expected = truth(double{data[i]});
    int exponent;
    std::frexp(expected, &exponent);
    const double ulp = std::ldexp(1.0, std::max(exponent, -125) - 24);
    worst = std::max(worst, std::abs(values[i] - expected) / ulp);
  }
  return worst;
}

TEST_CASE("exp is within one unit in the last place, from the smallest normal result to the largest") {
  const auto truth = [](double x) { return std::exp(x); };
  CHECK(WorstUlps("Exp", Between(1e-8f, 88.722f), truth) < 1);
  CHECK(WorstUlps("Exp", Minus(Between(1e-8f, 87.336f)), truth) < 1);
  CHECK(Apply("Exp", {88.73f, -87.34f, -1e30f}) == std::vector<float>{INFINITY, 0, 0});
}

TEST_CASE("log is within little more than one unit in the last place of all normal numbers") {
  const auto truth = [](double x) { return std::log(x); };
  CHECK(WorstUlps("Log", Between(FLT_MIN, FLT_MAX), truth) < 1.1);
  CHECK(WorstUlps("Log", Between(0.5f, 2), truth) < 1);
}

TEST_CASE("BNLL, Sigmoid, TanH, Swish and ELU are within a few units in the last place") {
  const auto bnll = [](double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); };
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  const auto swish = [](double x) { return x / (1 + std::exp(-x)); };
  const auto elu = [](double x) { return x > 0 ? x : std::exp(x) - 1; };
  for (const std::vector<float>& data : {Between(1e-3f, 80), Minus(Between(1e-3f, 80))}) {
    CHECK(WorstUlps("BNLL", data, bnll) < 3);
    CHECK(WorstUlps("Sigmoid", data, sigmoid) < 3);
    CHECK(WorstUlps("Swish", data, swish) < 3);
    CHECK(WorstUlps("TanH", data, [](double x) { return std::tanh(x); }) < 5);
  }
  // Near 0 exp(x) - 1 has few bits left.
  CHECK(WorstUlps("ELU", Minus(Between(0.7f, 80)), elu) < 3);
}

// Planes of more than a tile, whose last packet is cut off. Powers by exp and log are less exact.
TEST_CASE("LRN across channels is as it is defined, for every power, in place or not") {
  constexpr int kChannels = 9, kHeight = 23, kWidth = 29, kPlane = kHeight * kWidth;
  std::vector<float> data;
  for (int i = 0; i < kChannels * kPlane; ++i)
    data.push_back(static_cast<float>(std::sin(i * 0.37) * std::exp(std::sin(i * 0.011) * 12)));
  const double beta = GENERATE(0.75, 0.5, 1.0, 0.6);
  const int half = GENERATE(0, 1, 2, 3, 4);
  const std::string top = GENERATE("x", "copy");
  INFO("beta " << beta << ", half " << half << ", " << top);
  const std::vector<float> values =
      Values(absl::StrCat("layer { name: \"copy\" type: \"Power\" bottom: \"data\" top: \"copy\" } layer { name: \"x\" "
                          "type: \"LRN\" bottom: \"copy\" top: \"",
                          top, "\" lrn_param { k: 2 alpha: 0.5 beta: ", beta, " local_size: ", 2 * half + 1, " } }"),
             top, ImageOptions(caffe::TEST, kChannels, kHeight, kWidth), data);
  REQUIRE(values.size() == data.size());
  for (int c = 0; c < kChannels; ++c) {
    for (int i = 0; i < kPlane; ++i) {
      double squares = 0;
      for (int other = std::max(0, c - half); other <= std::min(kChannels - 1, c + half); ++other) {
        const double x = data[static_cast<size_t>(other * kPlane + i)];
        squares += x * x;
      }
      const double s = 2 + 0.5 / (2 * half + 1) * squares;
      const auto at = static_cast<size_t>(c * kPlane + i);
      REQUIRE(values[at] == Approx(data[at] * std::pow(s, -beta)).epsilon(beta == 0.6 ? 4e-6 : 6e-7));
    }
  }
}

TEST_CASE("LRN is 0 where the squares around are beyond the largest float") {
  const std::string beta = GENERATE("0.75", "0.5", "1");
  INFO("beta " << beta);
  // Two channels: the first one's squares count in the second one's sums.
  const std::vector<float> values = Values(
      "layer { name: \"x\" type: \"LRN\" bottom: \"data\" top: \"x\" lrn_param { local_size: 3 alpha: 1 beta: " + beta +
          " } }",
      "x", ImageOptions(caffe::TEST, 2, 1, 4), {2e20f, -1e30f, FLT_MAX, 0, 1, -1, 2e20f, 0});
  CHECK(values == std::vector<float>(8, 0.0f));
}

}  // namespace
}  // namespace samovar
