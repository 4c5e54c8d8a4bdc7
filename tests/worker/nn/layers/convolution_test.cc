// Convolutions that are computed in another way than by the sums of their definition: in Winograd's tiles.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/worker/nn/test_net.h"
#include "worker/nn/net.h"

namespace samovar {
namespace {

constexpr int kClasses = 3;

// SAMOVAR_WINOGRAD in the environment, while it lives.
class WinogradSetting {
 public:
  explicit WinogradSetting(const char* value) { setenv("SAMOVAR_WINOGRAD", value, 1); }
  ~WinogradSetting() { unsetenv("SAMOVAR_WINOGRAD"); }
};

struct Values {
  std::vector<float> outputs;
  std::vector<float> gradients;
};

Values Compute(const std::string& text, const NetOptions& options) {
  std::unique_ptr<Net> net = MakeNet(text, options);
  FillWeights(net.get(), 1, 0.5f);
  FillRecords(net.get(), 2, kClasses);
  std::vector<float> gradients = Gradients(net.get());
  const absl::StatusOr<NetBlob> y = net->FindBlob("y");
  REQUIRE_OK(y);
  return {{y->values.begin(), y->values.end()}, std::move(gradients)};
}

// The largest difference, as a part of the largest value.
double Difference(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0;
  double difference = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    largest = std::max<double>(largest, std::abs(a[i]));
    difference = std::max<double>(difference, std::abs(a[i] - b[i]));
  }
  return difference / largest;
}

// A convolution over a layer that learns, and what `above` makes "y" of its top "x".
std::string NetText(int batch, const std::string& fields, const std::string& above) {
  return absl::StrCat(DataText(batch), R"(
      layer { name: "scale" type: "Scale" bottom: "data" top: "below" scale_param { bias_term: true } }
      layer { name: "conv" type: "Convolution" bottom: "below" top: "x" convolution_param { )",
                      fields, " } }", above, R"(
      layer { name: "seen" type: "Power" bottom: "y" top: "seen" power_param { scale: 0.1 } }
      layer { name: "ip" type: "InnerProduct" bottom: "seen" top: "ip" inner_product_param { num_output: 3 } }
      layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" })");
}

struct TileCase {
  std::string fields;
  int channels, height, width;
  bool tiles = true;
};

TEST_CASE("convolutions in tiles are those of direct sums but for rounding, on any number of threads") {
  const TileCase shape = GENERATE(
      TileCase{"num_output: 16 kernel_size: 3 pad: 1", 16, 4, 4}, TileCase{"num_output: 32 kernel_size: 3", 16, 7, 9},
      TileCase{"num_output: 48 kernel_size: 3 pad: 1 bias_term: false", 64, 13, 14},
      TileCase{"num_output: 16 kernel_size: 3 pad: 2", 32, 5, 6},
      TileCase{"num_output: 80 kernel_size: 3 pad: 1", 16, 6, 5},
      TileCase{"num_output: 16 kernel_size: 3 pad: 3", 16, 3, 5},
      TileCase{"num_output: 32 kernel_size: 3 pad: 1 group: 2", 64, 8, 8},
      TileCase{"num_output: 16 kernel_size: 3 pad: 1", 16, 40, 37},
      TileCase{"num_output: 16 kernel_size: 5 pad: 2", 32, 7, 6}, TileCase{"num_output: 48 kernel_size: 5", 16, 9, 8},
      TileCase{"num_output: 32 kernel_size: 5 pad: 2 group: 2", 32, 15, 13},
      TileCase{"num_output: 16 kernel_size: 5 pad: 4", 16, 4, 5},
      TileCase{"num_output: 16 kernel_size: 4", 16, 9, 9, false},
      TileCase{"num_output: 16 kernel_h: 5 kernel_w: 3", 16, 9, 9, false},
      TileCase{"num_output: 50 kernel_size: 5", 20, 12, 12}, TileCase{"num_output: 17 kernel_size: 3", 16, 7, 9},
      TileCase{"num_output: 33 kernel_size: 3 pad: 1 bias_term: false", 19, 7, 9},
      TileCase{"num_output: 40 kernel_size: 5 pad: 2 group: 2", 46, 6, 7},
      TileCase{"num_output: 15 kernel_size: 3", 16, 7, 9, false},
      TileCase{"num_output: 16 kernel_size: 3", 15, 7, 9, false},
      TileCase{"num_output: 16 kernel_size: 3 stride: 2", 16, 9, 9, false},
      TileCase{"num_output: 16 kernel_size: 3 dilation: 2", 16, 9, 9, false},
      TileCase{"num_output: 16 kernel_size: 3", 16, 5, 5, false});
  const int batch = GENERATE(1, 7, 17);
  const std::string above = GENERATE(
      as<std::string>(), R"(layer { name: "same" type: "Power" bottom: "x" top: "y" })",
      R"(layer { name: "relu" type: "ReLU" bottom: "x" top: "y" })",
      R"(layer { name: "pool" type: "Pooling" bottom: "x" top: "y" pooling_param { kernel_size: 2 stride: 2 } })",
      R"(layer { name: "mean" type: "Pooling" bottom: "x" top: "y" pooling_param { pool: AVE kernel_size: 3 stride: 2 } })");
  const std::string text = NetText(batch, shape.fields, above);
  INFO(text);
  NetOptions options = ImageOptions(caffe::TRAIN, shape.channels, shape.height, shape.width);
  const Values tiles = Compute(text, options);
  {
    const WinogradSetting off("0");
    const Values direct = Compute(text, options);
    CHECK((direct.outputs != tiles.outputs) == shape.tiles);
    CHECK(Difference(direct.outputs, tiles.outputs) < 1e-4);
    // ReLU and max pools decide by rounding in a place or two.
    CHECK(Difference(direct.gradients, tiles.gradients) < 1e-4);
  }
  for (const int threads : {2, 4}) {
    ThreadPool pool(threads);
    options.pool = &pool;
    const Values by_many = Compute(text, options);
    CHECK(by_many.outputs == tiles.outputs);
    CHECK(by_many.gradients == tiles.gradients);
  }
}

// A chain of layers, each over the one before.
std::string Chain(const std::vector<std::string>& layers) {
  std::string text;
  std::string below = "data";
  for (size_t i = 0; i < layers.size(); ++i) {
    const std::string top = i + 1 == layers.size() ? "y" : absl::StrCat("x", i);
    absl::StrAppend(&text, "layer { name: \"", top, "\" bottom: \"", below, "\" top: \"", top, "\" ", layers[i],
                    " }\n");
    below = top;
  }
  return text;
}

std::vector<float> Outputs(const std::string& text, ThreadPool* pool, int records) {
  std::unique_ptr<Net> net = MakeNet(DataText(records) + text, ImageOptions(caffe::TEST, 16, 40, 40, pool));
  FillWeights(net.get(), 1, 0.2f);
  FixStatistics(net.get());
  FillRecords(net.get(), 2, kClasses);
  REQUIRE_OK(net->Forward(0, 1));
  const absl::StatusOr<NetBlob> y = net->FindBlob("y");
  REQUIRE_OK(y);
  return {y->values.begin(), y->values.end()};
}

TEST_CASE("threads share what one image needs, and compute the same") {
  const auto convolution = [](absl::string_view fields) {
    return absl::StrCat("type: \"Convolution\" convolution_param { ", fields, " }");
  };
  const std::string text = Chain({convolution("num_output: 64 kernel_size: 3 pad: 1"), R"(type: "ReLU")",
                                  R"(type: "Pooling" pooling_param { pool: MAX kernel_size: 3 stride: 2 })",
                                  convolution("num_output: 128 kernel_size: 1"), R"(type: "BatchNorm")",
                                  R"(type: "ReLU")", convolution("num_output: 128 kernel_size: 5 pad: 2 group: 2"),
                                  convolution("num_output: 128 kernel_size: 3 group: 128"),
                                  convolution("num_output: 65 kernel_size: 3 stride: 2"),
                                  convolution("num_output: 64 kernel_size: 3 dilation: 2"),
                                  R"(type: "Pooling" pooling_param { pool: AVE kernel_size: 2 stride: 1 })"});
  for (const int records : {1, 2, 3}) {
    const std::vector<float> by_one = Outputs(text, nullptr, records);
    for (const int threads : {2, 4, 7}) {
      ThreadPool pool(threads);
      CHECK(Outputs(text, &pool, records) == by_one);
    }
  }
}

TEST_CASE("a setting of Winograd's tiles that means nothing is an error") {
  const WinogradSetting wrong("off");
  const std::string text =
      NetText(2, "num_output: 16 kernel_size: 3", R"(layer { name: "same" type: "Power" bottom: "x" top: "y" })");
  const auto net = Net::Create(NetFromText(text), ImageOptions(caffe::TRAIN, 16, 8, 8));
  REQUIRE(!net.ok());
  CHECK(net.status().code() == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(std::string(net.status().message()), Catch::Contains("SAMOVAR_WINOGRAD is \"off\""));
}

}  // namespace
}  // namespace samovar
