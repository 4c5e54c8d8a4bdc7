// Outputs of layers that compute each value from one, and of ArgMax and Silence, computed by hand.
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/worker/nn/single_layer.h"
#include "tests/worker/nn/test_net.h"

namespace samovar {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
const float kLog2 = std::log(2.0f);
const float kLog3 = std::log(3.0f);

std::string Layer(const std::string& type, const std::string& fields = "") {
  return absl::StrCat("layer { name: \"x\" type: \"", type, "\" bottom: \"data\" top: \"x\" ", fields, " }");
}

// One record of one row.
std::vector<float> Apply(const std::string& layer, const std::vector<float>& data) {
  return Run(layer, Image(1, 1, static_cast<int>(data.size())), data, {});
}

// A few last bits: what the polynomials may be off.
void CheckNear(const std::vector<float>& values, const std::vector<float>& expected) {
  REQUIRE(values.size() == expected.size());
  for (size_t i = 0; i < values.size(); ++i) {
    INFO("value " << i);
    CHECK(values[i] == Approx(expected[i]).epsilon(1e-6).margin(1e-7));
  }
}

TEST_CASE("Sigmoid and TanH have their values, and saturate") {
  CheckNear(Apply(Layer("Sigmoid"), {0, kLog3, -kLog3, 100}), {0.5, 0.75, 0.25, 1});
  const float small = Apply(Layer("Sigmoid"), {-80})[0];
  CHECK(small > 0);
  CHECK(small < 2e-35f);
  CheckNear(Apply(Layer("TanH"), {0, kLog3 / 2, -kLog3 / 2, 50, -50}), {0, 0.5, -0.5, 1, -1});
  CheckNear(Apply(Layer("TanH"), {1e-5f}), {1e-5f});
}

TEST_CASE("AbsVal is the absolute value") { CHECK(Apply(Layer("AbsVal"), {-2, 0, 3}) == std::vector<float>{2, 0, 3}); }

TEST_CASE("Power raises what is scaled and shifted") {
  CHECK(Apply(Layer("Power"), {-2, 0, 3}) == std::vector<float>{-2, 0, 3});
  CHECK(Apply(Layer("Power", "power_param { power: 2 scale: 0.5 shift: 1 }"), {2, -4, 0}) ==
        std::vector<float>{4, 1, 1});
  CheckNear(Apply(Layer("Power", "power_param { power: 0.5 }"), {4, 9, 0}), {2, 3, 0});
  CheckNear(Apply(Layer("Power", "power_param { power: -1 }"), {2, -4}), {0.5, -0.25});
  CheckNear(Apply(Layer("Power", "power_param { power: 3 }"), {-2, 3}), {-8, 27});
  CHECK(std::isnan(Apply(Layer("Power", "power_param { power: 0.5 }"), {-1})[0]));
  // Nothing of x is left.
  CHECK(Apply(Layer("Power", "power_param { power: 2 scale: 0 shift: 3 }"), {5, -7}) == std::vector<float>{9, 9});
  CHECK(Apply(Layer("Power", "power_param { power: 0 }"), {5, 0}) == std::vector<float>{1, 1});
}

TEST_CASE("Exp and Log have the base e or another, a scale and a shift") {
  CheckNear(Apply(Layer("Exp"), {0, std::log(5.0f)}), {1, 5});
  CheckNear(Apply(Layer("Exp", "exp_param { base: 2 scale: 2 shift: 1 }"), {1, -0.5, 0}), {8, 1, 2});
  CheckNear(Apply(Layer("Exp", "exp_param { shift: 1 }"), {0}), {2.7182818f});
  CHECK(std::isinf(Apply(Layer("Exp"), {200})[0]));
  CheckNear(Apply(Layer("Log"), {1, 3}), {0, kLog3});
  CheckNear(Apply(Layer("Log", "log_param { base: 2 scale: 3 shift: 1 }"), {1, 5, 0}), {2, 4, 0});
  CHECK(Apply(Layer("Log"), {0})[0] == -std::numeric_limits<float>::infinity());
  CHECK(std::isnan(Apply(Layer("Log"), {-1})[0]));
}

TEST_CASE("BNLL is the logarithm of one plus exp, exact at both ends") {
  CheckNear(Apply(Layer("BNLL"), {0, kLog3, 100}), {kLog2, 2 * kLog2, 100});
  CHECK(Apply(Layer("BNLL"), {-20})[0] == Approx(2.0611536e-9).epsilon(1e-5));
}

TEST_CASE("Clip, Threshold, Swish and ELU have their values") {
  CHECK(Apply(Layer("Clip", "clip_param { min: -1 max: 2 }"), {-3, -1, 0.5, 2, 7}) ==
        std::vector<float>{-1, -1, 0.5, 2, 2});
  CHECK(Apply(Layer("Threshold"), {-1, 0, 0.1f}) == std::vector<float>{0, 0, 1});
  CHECK(Apply(Layer("Threshold", "threshold_param { threshold: 1.5 }"), {1.5, 2, -1}) == std::vector<float>{0, 1, 0});
  CheckNear(Apply(Layer("Swish"), {kLog3, 0, -kLog3}), {0.75f * kLog3, 0, -0.25f * kLog3});
  CheckNear(Apply(Layer("Swish", "swish_param { beta: 2 }"), {kLog3 / 2}), {0.375f * kLog3});
  CheckNear(Apply(Layer("ELU"), {-kLog2, 0, 3}), {-0.5, 0, 3});
  CheckNear(Apply(Layer("ELU", "elu_param { alpha: 2 }"), {-kLog2, 0, 3}), {-1, 0, 3});
}

// The gradient of the sum of what a layer makes of a record of channels, in place and not.
std::vector<float> SlopesAt(const std::string& type, const std::string& fields, const std::vector<float>& at) {
  std::vector<float> both[2];
  for (const std::string top : {"x", "y"}) {
    std::unique_ptr<Net> net = MakeNet(
        absl::StrCat("layer { name: \"at\" type: \"Parameter\" top: \"x\" parameter_param { shape { dim: 1 dim: ",
                     at.size(), " } } }", "layer { name: \"y\" type: \"", type, "\" bottom: \"x\" top: \"", top,
                     "\" loss_weight: 1 ", fields, " }"),
        NetOptions());
    std::fill(net->weights().begin(), net->weights().end(), 0.25f);
    std::copy(at.begin(), at.end(), net->weights().begin());
    const std::vector<float> gradients = Gradients(net.get());
    both[top == "y"].assign(gradients.begin(), gradients.begin() + static_cast<ptrdiff_t>(at.size()));
  }
  CHECK(both[0] == both[1]);
  return both[1];
}

TEST_CASE("gradients at the kinks are those of the side that Caffe takes") {
  CHECK(SlopesAt("ReLU", "", {-1, 0, 1}) == std::vector<float>{0, 0, 1});
  CHECK(SlopesAt("ReLU", "relu_param { negative_slope: 0.5 }", {-1, 0, 1}) == std::vector<float>{0.5, 0.5, 1});
  CHECK(SlopesAt("PReLU", "", {-1, 0, 1}) == std::vector<float>{0.25, 0.25, 1});
  CHECK(SlopesAt("AbsVal", "", {-1, 0, 1}) == std::vector<float>{-1, 0, 1});
  CHECK(SlopesAt("Clip", "clip_param { min: -1 max: 2 }", {-1.5, -1, 0, 2, 2.5}) == std::vector<float>{0, 1, 1, 1, 0});
  CHECK(SlopesAt("ELU", "elu_param { alpha: 2 }", {0, 1}) == std::vector<float>{2, 1});
}

TEST_CASE("PReLU scales what is negative by its channel's slope, or by one for all") {
  CHECK(Run(Layer("PReLU"), Image(2, 1, 2), {-1, 2, -3, 4}, {0.5, 0.25}) == std::vector<float>{-0.5, 2, -0.75, 4});
  CHECK(Run(Layer("PReLU", "prelu_param { channel_shared: true }"), Image(2, 1, 2), {-1, 2, -3, 4}, {0.5}) ==
        std::vector<float>{-0.5, 2, -1.5, 4});
}

TEST_CASE("PReLU's slopes have an axis of channels, or none, and begin with a quarter") {
  const auto parameter = [](const std::string& fields) {
    return MakeNet(DataText(1) + Layer("PReLU", fields), Image(3, 1, 2))->layout().blobs(0);
  };
  const v1::ParameterBlob own = parameter("");
  REQUIRE(own.shape_size() == 1);
  CHECK(own.shape(0) == 3);
  CHECK(own.filler().type() == "constant");
  CHECK(own.filler().value() == 0.25f);
  CHECK(parameter("prelu_param { channel_shared: true }").shape_size() == 0);
  CHECK(parameter("prelu_param { filler { type: \"uniform\" } }").filler().type() == "uniform");
  CHECK(parameter("prelu_param { filler { } }").filler().value() == 0);
}

TEST_CASE("ArgMax of a record gives places, or places and values, and of equal values the later comes first") {
  const std::vector<float> data = {1, 5, 3, 5, 9, 0, -1, 2};
  const std::vector<float> labels = {0, 0};
  CHECK(Run(Layer("ArgMax"), Image(4, 1, 1), data, {}, labels) == std::vector<float>{3, 0});
  CHECK(Run(Layer("ArgMax", "argmax_param { top_k: 3 }"), Image(2, 2, 1), data, {}, labels) ==
        std::vector<float>{3, 1, 2, 0, 3, 1});
  CHECK(Run(Layer("ArgMax", "argmax_param { top_k: 2 out_max_val: true }"), Image(4, 1, 1), data, {}, labels) ==
        std::vector<float>{3, 1, 5, 5, 0, 3, 9, 2});
  CHECK(Run(Layer("ArgMax"), Image(3, 1, 1), {7, kNan, 8}, {}) == std::vector<float>{1});
}

TEST_CASE("ArgMax along an axis gives places, or values") {
  const std::vector<float> data = {1, 4, 3, 2};
  CHECK(Run(Layer("ArgMax", "argmax_param { axis: 1 }"), Image(2, 1, 2), data, {}) == std::vector<float>{1, 0});
  CHECK(Run(Layer("ArgMax", "argmax_param { axis: 1 out_max_val: true }"), Image(2, 1, 2), data, {}) ==
        std::vector<float>{3, 4});
  CHECK(Run(Layer("ArgMax", "argmax_param { axis: 1 top_k: 2 }"), Image(2, 1, 2), data, {}) ==
        std::vector<float>{1, 0, 0, 1});
  CHECK(Run(Layer("ArgMax", "argmax_param { axis: -1 top_k: 2 }"), Image(1, 2, 2), data, {}) ==
        std::vector<float>{1, 0, 0, 1});
}

TEST_CASE("what ArgMax makes has at least three axes") {
  const auto gives = [](const std::string& below, const std::string& bottom, const std::string& shape) {
    // A layer above that refuses its bottom tells the shape.
    const std::string text = DataText(2) + below + "layer { name: \"m\" type: \"ArgMax\" bottom: \"" + bottom +
                             R"(" top: "m" argmax_param { top_k: 2 } }
        layer { name: "e" type: "EuclideanLoss" bottom: "m" bottom: "data" top: "e" })";
    const absl::Status status = Net::Create(NetFromText(text), Image(3, 4, 5)).status();
    REQUIRE_STATUS(status, absl::StatusCode::kInvalidArgument, "bottom \"m\" " + shape);
  };
  gives("", "data", "[2, 1, 2, 1]");
  gives(R"(layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" inner_product_param { num_output: 4 } })",
        "a", "[2, 1, 2]");
}

TEST_CASE("Silence takes blobs from the outputs") {
  CHECK(Run(Layer("AbsVal") + R"(layer { name: "s" type: "Silence" bottom: "x" bottom: "label" })" +
                R"(layer { name: "y" type: "Sigmoid" bottom: "data" top: "y" })",
            Image(1, 1, 1), {0}, {}) == std::vector<float>{0.5});
}

TEST_CASE("a blob that a Silence reads learns from its other readers alone") {
  const std::string head =
      R"(layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" inner_product_param { num_output: 3 } }
      layer { name: "loss" type: "SoftmaxWithLoss" bottom: "a" bottom: "label" top: "loss" })";
  const auto gradients = [&](const std::string& more) {
    std::unique_ptr<Net> net = MakeNet(DataText(4) + head + more, ImageOptions(caffe::TRAIN, 1, 2, 3));
    FillWeights(net.get(), 1);
    FillRecords(net.get(), 2, 3);
    return Gradients(net.get());
  };
  CHECK(gradients(R"(layer { name: "s" type: "Silence" bottom: "a" })") == gradients(""));
}

TEST_CASE("what is not finite stays so through every element-wise layer") {
  for (const std::string& layer :
       {Layer("Sigmoid"), Layer("TanH"), Layer("AbsVal"), Layer("Power", "power_param { power: 1.5 shift: 1 }"),
        Layer("Exp"), Layer("Log"), Layer("BNLL"), Layer("Clip", "clip_param { min: 0 max: 1 }"), Layer("Swish"),
        Layer("ELU"), Layer("Threshold"), Layer("Dropout")}) {
    INFO(layer);
    // In a full packet of the vector unit, and in the rest behind it.
    std::vector<float> data(35, 1.0f);
    data[2] = data[34] = kNan;
    const std::vector<float> values = Apply(layer, data);
    CHECK(std::isnan(values[2]));
    CHECK(std::isnan(values[34]));
    CHECK(std::isfinite(values[3]));
    CHECK(std::isfinite(values[33]));
  }
}

}  // namespace
}  // namespace samovar
