// Nets that are refused, and what the refusal says.
#include <string>

#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/worker/nn/test_net.h"
#include "worker/nn/layer_registry.h"

namespace samovar {
namespace {

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kNotOffered = absl::StatusCode::kUnimplemented;

constexpr char kHead[] = R"(
  layer { name: "head" type: "InnerProduct" bottom: "data" top: "head" inner_product_param { num_output: 3 } }
  layer { name: "loss" type: "SoftmaxWithLoss" bottom: "head" bottom: "label" top: "loss" })";

absl::Status Create(const std::string& layers) {
  return Net::Create(NetFromText(DataText(2) + layers), ImageOptions(caffe::TRAIN, 3, 4, 5)).status();
}

TEST_CASE("a layer type that is not offered is named with those that are") {
  const absl::Status status = Create(R"(layer { name: "norm" type: "Imaginary" bottom: "data" top: "norm" })");
  REQUIRE_STATUS(status, kNotOffered,
                 "layer \"norm\": type \"Imaginary\" is not offered; there are AbsVal, Accuracy, ");
  REQUIRE_STATUS(Create(R"(layer { name: "c" type: "Convolutoin" bottom: "data" top: "c" })"), kNotOffered,
                 "did you mean \"Convolution\"?");
  for (const std::string type :
       {"BatchReindex", "Filter", "HDF5Output", "Im2col", "LSTM", "Python", "RNN", "SPP", "WindowData", "relu"}) {
    REQUIRE_STATUS(Create("layer { name: \"x\" type: \"" + type + "\" bottom: \"data\" top: \"x\" }"), kNotOffered,
                   "layer \"x\": type \"" + type + "\" is not offered; there are " + OfferedLayerTypes());
  }
}

TEST_CASE("a bottom that no layer makes is answered with the nearest name") {
  REQUIRE_STATUS(Create(R"(layer { name: "r" type: "ReLU" bottom: "dato" top: "r" })"), kInvalid,
                 "layer \"r\" (ReLU): no layer before it has a top \"dato\"; did you mean \"data\"?");
  // Nothing is near.
  const absl::Status far = Create(R"(layer { name: "r" type: "ReLU" bottom: "conv5_3" top: "r" })");
  REQUIRE(absl::StrContains(far.message(), "no layer before it has a top \"conv5_3\""));
  REQUIRE_FALSE(absl::StrContains(far.message(), "did you mean"));
}

TEST_CASE("errors of shapes name the layer, its bottoms and their shapes") {
  REQUIRE_STATUS(
      Create(
          R"(layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 1 kernel_size: 6 } })"),
      kInvalid, "layer \"c\" (Convolution), bottom \"data\" [2, 3, 4, 5]: convolution kernel of extent 6 is larger");
  REQUIRE_STATUS(
      Create(
          R"(layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 4 kernel_size: 1 group: 2 } })"),
      kInvalid, "group 2 must divide the 3 input channels");
  REQUIRE_STATUS(Create(R"(layer { name: "l" type: "SoftmaxWithLoss" bottom: "data" bottom: "label" top: "l" })"),
                 kInvalid, "bottom \"data\" [2, 3, 4, 5] and \"label\" [2]: there are 2 labels and 40 predictions");
  REQUIRE_STATUS(
      Create(
          R"(layer { name: "p" type: "InnerProduct" bottom: "data" top: "p" inner_product_param { num_output: 3000000000 } })"),
      kInvalid, "2^31");
}

TEST_CASE("fields of the layer's own type that would be ignored are refused") {
  REQUIRE_STATUS(
      Create(
          R"(layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 1 kernel_size: 1 axis: 2 } })"),
      kNotOffered, "convolution_param.axis 2");
  REQUIRE_STATUS(Create(R"(layer { name: "r" type: "ReLU" bottom: "data" top: "r" phase: TEST })"), kNotOffered,
                 "phase TEST");
}

// Two layers that name their weights alike; `first` and `second` stand in their param messages.
absl::Status Share(const std::string& first, const std::string& second,
                   const std::string& second_fields = "num_output: 3") {
  return Create(R"(layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" param { name: "w" )" + first +
                R"( } inner_product_param { num_output: 3 } }
      layer { name: "b" type: "InnerProduct" bottom: "data" top: "b" param { name: "w" )" +
                second + " } inner_product_param { " + second_fields + R"( } }
      layer { name: "loss" type: "SoftmaxWithLoss" bottom: "a" bottom: "label" top: "loss" })");
}

TEST_CASE("shared parameters must have one shape, and multipliers that agree") {
  REQUIRE_OK(Share("lr_mult: 2", ""));
  REQUIRE_OK(Share("", "lr_mult: 2"));
  REQUIRE_STATUS(Share("lr_mult: 2", "lr_mult: 3"), kInvalid,
                 "param \"w\" is that of layer \"a\" with lr_mult 2, but here it is 3");
  REQUIRE_STATUS(Share("decay_mult: 2", "decay_mult: 3"), kInvalid, "decay_mult 2, but here it is 3");
  REQUIRE_STATUS(Share("", "", "num_output: 4"), kInvalid, "which has shape [3, 60], but here it is [4, 60]");
  REQUIRE_STATUS(Share("", "", "num_output: 3 transpose: true"), kInvalid,
                 "which has shape [3, 60], but here it is [60, 3]");
  REQUIRE_OK(Share("", "share_mode: PERMISSIVE", "num_output: 3 transpose: true"));
  REQUIRE_STATUS(Share("", "share_mode: PERMISSIVE", "num_output: 4"), kInvalid, "[3, 60], but here it is [4, 60]");
}

TEST_CASE("a blob may be written twice in place only") {
  REQUIRE_STATUS(
      Create(
          std::string(kHead) +
          R"(layer { name: "again" type: "InnerProduct" bottom: "data" top: "head" inner_product_param { num_output: 3 } })"),
      kInvalid, "top \"head\" is already a top of layer \"head\"");
}

TEST_CASE("layers of one name are accepted as long as no two of them have weights, which go by their names") {
  REQUIRE_OK(Create(std::string(kHead) + R"(layer { name: "relu" type: "ReLU" bottom: "data" top: "r" }
      layer { name: "relu" type: "ReLU" bottom: "r" top: "s" } layer { name: "head" type: "ReLU" bottom: "s" top: "t" })"));
}

TEST_CASE("fields of layers of other types have no effect, and are told apart from what is not offered") {
  const std::string text =
      std::string(kHead) +
      R"(layer { name: "relu" type: "ReLU" bottom: "data" top: "r" loss_param { normalize: true } pooling_param { } })";
  REQUIRE_OK(Create(text));
  const caffe::NetParameter net = NetFromText(text);
  CHECK(UnusedFields(net.layer(net.layer_size() - 1)) == std::vector<std::string>{"loss_param", "pooling_param"});
  CHECK(UnusedFields(net.layer(0)).empty());
}

TEST_CASE("numbers of blobs, parameters and weights must fit") {
  REQUIRE_STATUS(Create(R"(layer { name: "l" type: "SoftmaxWithLoss" bottom: "data" top: "l" })"), kInvalid,
                 "it has 1 bottoms and needs 2");
  REQUIRE_STATUS(Create(R"(layer { name: "r" type: "ReLU" bottom: "data" })"), kInvalid, "it has 0 tops and needs 1");
  REQUIRE_STATUS(Create(R"(layer { name: "r" type: "ReLU" bottom: "data" top: "r" param { lr_mult: 1 } })"), kInvalid,
                 "1 param entries, but 0");
  REQUIRE_STATUS(Create(R"(layer { name: "r" type: "ReLU" bottom: "data" top: "r" loss_weight: 1 loss_weight: 2 })"),
                 kInvalid, "loss_weight");
  REQUIRE_STATUS(Create(std::string(kHead) + R"(layer { name: "head" type: "PReLU" bottom: "data" top: "r" })"),
                 kInvalid,
                 "two layers with weights are named \"head\": layer \"head\" (InnerProduct) with top \"head\" and "
                 "layer \"head\" (PReLU) with top \"r\"; rename one");
  REQUIRE_STATUS(Create(R"(layer { name: "p" type: "InnerProduct" bottom: "data" top: "p" inner_product_param { } })"),
                 kInvalid, "num_output");
  REQUIRE_STATUS(
      Create(
          R"(layer { name: "p" type: "InnerProduct" bottom: "data" top: "p" inner_product_param { num_output: 1 axis: 4 } })"),
      kInvalid, "axis 4 is outside");
}

TEST_CASE("a train net without a loss, or with a loss that has no gradient, is refused") {
  REQUIRE_STATUS(Create(R"(layer { name: "r" type: "ReLU" bottom: "data" top: "r" })"), kInvalid, "no loss");
  REQUIRE_STATUS(
      Create(
          R"(layer { name: "head" type: "InnerProduct" bottom: "data" top: "head" inner_product_param { num_output: 3 } }
      layer { name: "a" type: "Accuracy" bottom: "head" bottom: "label" top: "a" loss_weight: 1 })"),
      kNotOffered, "no gradient");
}

TEST_CASE("a data layer needs a batch, and records of known shapes") {
  REQUIRE_STATUS(Net::Create(NetFromText(DataText(0)), {}), kInvalid, "batch_size is 0");
  REQUIRE_STATUS(Net::Create(NetFromText(DataText(1)), {}), kInvalid, "the shapes of its records are not known");
}

}  // namespace
}  // namespace samovar
