// The refusals of element-wise layers and losses, and their messages.
#include <algorithm>
#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/worker/nn/test_net.h"

namespace samovar {
namespace {

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kNotOffered = absl::StatusCode::kUnimplemented;

// One layer on "data" [2, 3, 4, 5] and whatever else it reads.
absl::Status Create(const std::string& type, const std::string& rest) {
  const std::string layer = absl::StrCat("layer { name: \"x\" type: \"", type, "\" bottom: \"data\" ", rest, " }");
  return Net::Create(NetFromText(DataText(2) + layer), ImageOptions(caffe::TEST, 3, 4, 5)).status();
}

absl::Status CreateOne(const std::string& type, const std::string& fields) {
  return Create(type, "top: \"x\" " + fields);
}

TEST_CASE("fields of element-wise layers out of their range are refused by name") {
  REQUIRE_STATUS(CreateOne("Dropout", "dropout_param { dropout_ratio: 1 }"), kInvalid,
                 "layer \"x\" (Dropout), bottom \"data\" [2, 3, 4, 5]: dropout_param.dropout_ratio is 1; give 0 or "
                 "more, and less than 1");
  REQUIRE_STATUS(CreateOne("Dropout", "dropout_param { dropout_ratio: nan }"), kInvalid, "dropout_ratio is nan");
  REQUIRE_STATUS(CreateOne("Clip", "clip_param { min: 2 max: 1 }"), kInvalid, "clip_param.min is 2 and max 1");
  REQUIRE_STATUS(CreateOne("Clip", ""), kInvalid, "give both min and max");
  REQUIRE_STATUS(CreateOne("Exp", "exp_param { base: 0 }"), kInvalid,
                 "exp_param.base is 0; give a number above 0, or -1");
  REQUIRE_STATUS(CreateOne("Exp", "exp_param { shift: inf }"), kInvalid, "exp_param");
  REQUIRE_STATUS(CreateOne("Log", "log_param { base: 1 }"), kInvalid,
                 "log_param.base is 1; give a number above 0 other than 1");
  REQUIRE_STATUS(CreateOne("Log", "log_param { base: -2 }"), kInvalid, "log_param.base is -2");
  REQUIRE_STATUS(CreateOne("Power", "power_param { power: nan }"), kInvalid, "power_param");
  REQUIRE_STATUS(CreateOne("Swish", "swish_param { beta: inf }"), kInvalid, "swish_param.beta");
  REQUIRE_STATUS(CreateOne("ReLU", "relu_param { negative_slope: nan }"), kInvalid,
                 "relu_param.negative_slope must be finite");
  REQUIRE_STATUS(CreateOne("ELU", "elu_param { alpha: nan }"), kInvalid, "elu_param.alpha");
  REQUIRE_STATUS(CreateOne("Threshold", "threshold_param { threshold: nan }"), kInvalid, "threshold_param.threshold");
  REQUIRE_STATUS(CreateOne("Sigmoid", "sigmoid_param { engine: CUDNN }"), kNotOffered, "sigmoid_param.engine CUDNN");
  REQUIRE_STATUS(CreateOne("TanH", "tanh_param { engine: CUDNN }"), kNotOffered, "tanh_param.engine CUDNN");
  REQUIRE_STATUS(CreateOne("ArgMax", "argmax_param { top_k: 0 }"), kInvalid,
                 "argmax_param.top_k is 0; it must be 1 to");
  REQUIRE_STATUS(CreateOne("ArgMax", "argmax_param { axis: 1 top_k: 4 }"), kInvalid, "that are compared, 3");
  REQUIRE_STATUS(CreateOne("ArgMax", "argmax_param { axis: 4 }"), kInvalid, "axis 4 is outside");
  REQUIRE_STATUS(Create("Silence", "top: \"x\""), kInvalid, "it has 1 tops and needs 0");
  REQUIRE_STATUS(
      Net::Create(NetFromText(DataText(2) + "layer { name: \"p\" type: \"PReLU\" bottom: \"label\" top: \"p\" }"),
                  ImageOptions(caffe::TEST, 3, 4, 5)),
      kInvalid, "PReLU needs two axes or more");
}

TEST_CASE("bottoms of losses that do not fit each other are refused with their numbers") {
  REQUIRE_STATUS(CreateOne("EuclideanLoss", "bottom: \"label\""), kInvalid,
                 "the bottoms have 2 records of 60 values and 2 of 1");
  REQUIRE_STATUS(CreateOne("SigmoidCrossEntropyLoss", "bottom: \"label\""), kInvalid,
                 "there are 2 targets and 120 scores");
  REQUIRE_STATUS(CreateOne("HingeLoss", "bottom: \"data\""), kInvalid, "there are 120 labels and 2 predictions");
  REQUIRE_STATUS(CreateOne("ContrastiveLoss", "bottom: \"label\" bottom: \"label\""), kInvalid,
                 "the first two bottoms have 2 records of 60");
  REQUIRE_STATUS(CreateOne("ContrastiveLoss", "bottom: \"data\" bottom: \"data\""), kInvalid, "there are 120 labels");
  REQUIRE_STATUS(CreateOne("MultinomialLogisticLoss", "bottom: \"data\""), kInvalid, "there are 120 labels");
  REQUIRE_OK(CreateOne("EuclideanLoss", "bottom: \"data\" loss_param { normalize: true }"));
}

TEST_CASE("what a layer has no gradient for is refused when a loss asks for it") {
  const auto create = [](const std::string& layers) {
    return Net::Create(NetFromText(DataText(2) + R"(
        layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" inner_product_param { num_output: 1 } }
        layer { name: "b" type: "InnerProduct" bottom: "data" top: "b" inner_product_param { num_output: 1 } })" +
                                   layers),
                       ImageOptions(caffe::TRAIN, 3, 4, 5));
  };
  REQUIRE_STATUS(create(R"(layer { name: "t" type: "Threshold" bottom: "a" top: "t" }
      layer { name: "l" type: "EuclideanLoss" bottom: "t" bottom: "b" top: "l" })"),
                 kNotOffered, "layer \"t\" (Threshold) has no gradient");
  REQUIRE_STATUS(create(R"(layer { name: "l" type: "SigmoidCrossEntropyLoss" bottom: "a" bottom: "b" top: "l" })"),
                 kNotOffered, "no gradient for its bottom \"b\"");
}

// Losses of scores "a" [3, 4] or of two of them, with labels.
std::unique_ptr<Net> LossNet(const std::string& loss) {
  std::unique_ptr<Net> net = MakeNet(DataText(3) + R"(
      layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" inner_product_param { num_output: 4 } }
      layer { name: "one" type: "InnerProduct" bottom: "data" top: "one" inner_product_param { num_output: 1 } }
      layer { name: "h" type: "DummyData" top: "h" dummy_data_param { shape { dim: 4 dim: 4 } data_filler { value: 1 } } }
      layer { name: "s" type: "Silence" bottom: "a" bottom: "one" bottom: "h" })" +
                                         loss,
                                     ImageOptions(caffe::TRAIN, 1, 2, 3));
  FillWeights(net.get(), 1);
  FillRecords(net.get(), 2, 4);
  return net;
}

TEST_CASE("losses refuse labels that are no class") {
  for (const char* type :
       {"HingeLoss\" bottom: \"a\" bottom: \"label", "MultinomialLogisticLoss\" bottom: \"a\" bottom: \"label",
        "InfogainLoss\" bottom: \"a\" bottom: \"label\" bottom: \"h"}) {
    std::unique_ptr<Net> net = LossNet(absl::StrCat("layer { name: \"l\" top: \"l\" type: \"", type, "\" }"));
    for (float bad : {4.0f, -1.0f, 3e18f, std::numeric_limits<float>::quiet_NaN()}) {
      REQUIRE_OK(net->Forward(5, 0));
      LabelsOf(net.get())[1] = bad;
      REQUIRE_STATUS(net->Forward(5, 0), kInvalid, "layer \"l\": record 1 of iteration 5 has label ");
      LabelsOf(net.get())[1] = 0;
    }
  }
  std::unique_ptr<Net> net =
      LossNet(R"(layer { name: "l" top: "l" type: "ContrastiveLoss" bottom: "a" bottom: "a" bottom: "label" })");
  LabelsOf(net.get())[2] = std::numeric_limits<float>::quiet_NaN();
  REQUIRE_STATUS(net->Forward(5, 0), kInvalid, "record 2 of iteration 5 has label nan in blob \"label");
}

TEST_CASE("scores that are not finite make a loss that is an error") {
  for (const char* type :
       {"HingeLoss\" bottom: \"a\" bottom: \"label", "MultinomialLogisticLoss\" bottom: \"a\" bottom: \"label",
        "InfogainLoss\" bottom: \"a\" bottom: \"label\" bottom: \"h",
        "SigmoidCrossEntropyLoss\" bottom: \"one\" bottom: \"label", "EuclideanLoss\" bottom: \"one\" bottom: \"label",
        "ContrastiveLoss\" bottom: \"a\" bottom: \"one4\" bottom: \"label"}) {
    INFO(type);
    const std::string other = R"(layer { name: "one4" type: "Power" bottom: "a" top: "one4" power_param { scale: -1 } }
        layer { name: "s4" type: "Silence" bottom: "one4" })";
    std::unique_ptr<Net> net = LossNet(absl::StrCat(other, "layer { name: \"l\" top: \"l\" type: \"", type, "\" }"));
    REQUIRE_OK(net->Forward(0, 0));
    for (float label : {0.0f, 1.0f}) {
      std::fill(LabelsOf(net.get()).begin(), LabelsOf(net.get()).end(), label);
      std::fill(net->weights().begin(), net->weights().end(), std::numeric_limits<float>::quiet_NaN());
      REQUIRE_STATUS(net->Forward(0, 0), absl::StatusCode::kOutOfRange, "the loss of layer \"l\"");
    }
  }
}

}  // namespace
}  // namespace samovar
