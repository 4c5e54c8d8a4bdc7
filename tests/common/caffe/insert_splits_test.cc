#include "common/caffe/insert_splits.h"

#include <string>

#include "common/caffe/prototxt.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

caffe::NetParameter Split(const std::string& text) {
  auto net = ParseNet(text, "net");
  REQUIRE_OK(net);
  return InsertSplits(*net);
}

// "name: bottoms -> tops", a line a layer.
std::string Wiring(const caffe::NetParameter& net) {
  std::string text;
  for (const caffe::LayerParameter& layer : net.layer()) {
    text += layer.name() + ":";
    for (const std::string& bottom : layer.bottom()) text += " " + bottom;
    text += " ->";
    for (const std::string& top : layer.top()) text += " " + top;
    text += "\n";
  }
  return text;
}

}  // namespace

TEST_CASE("a top that two layers take gets a split with Caffe's names") {
  const auto net = Split(R"(
    layer { name: "mnist" type: "Data" top: "data" top: "label" }
    layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" }
    layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" })");
  CHECK(Wiring(net) ==
        "mnist: -> data label\n"
        "label_mnist_1_split: label -> label_mnist_1_split_0 label_mnist_1_split_1\n"
        "ip: data -> ip\n"
        "ip_ip_0_split: ip -> ip_ip_0_split_0 ip_ip_0_split_1\n"
        "accuracy: ip_ip_0_split_0 label_mnist_1_split_0 -> accuracy\n"
        "loss: ip_ip_0_split_1 label_mnist_1_split_1 -> loss\n");
  CHECK(net.layer(1).type() == "Split");
}

TEST_CASE("a net without a fan-out and a net that has its splits stay as they are") {
  const std::string plain = R"(name: "n" layer { name: "a" top: "x" } layer { name: "b" bottom: "x" top: "y" })";
  CHECK(Split(plain).SerializeAsString() == ParseNet(plain, "net")->SerializeAsString());
  const auto once = Split(R"(
    layer { name: "a" top: "x" } layer { name: "b" bottom: "x" top: "y" } layer { name: "c" bottom: "x" top: "z" })");
  CHECK(InsertSplits(once).SerializeAsString() == once.SerializeAsString());
}

TEST_CASE("a layer in place is a new maker of its blob") {
  const auto net = Split(R"(
    layer { name: "ip" top: "x" }
    layer { name: "relu" bottom: "x" top: "x" }
    layer { name: "b" bottom: "x" top: "y" }
    layer { name: "c" bottom: "x" top: "z" })");
  CHECK(Wiring(net) ==
        "ip: -> x\n"
        "relu: x -> x\n"
        "x_relu_0_split: x -> x_relu_0_split_0 x_relu_0_split_1\n"
        "b: x_relu_0_split_0 -> y\n"
        "c: x_relu_0_split_1 -> z\n");
}

TEST_CASE("a blob taken twice by one layer is split as well") {
  const auto net = Split(R"(layer { name: "a" top: "x" } layer { name: "sum" bottom: "x" bottom: "x" top: "y" })");
  CHECK(Wiring(net) ==
        "a: -> x\n"
        "x_a_0_split: x -> x_a_0_split_0 x_a_0_split_1\n"
        "sum: x_a_0_split_0 x_a_0_split_1 -> y\n");
}

TEST_CASE("a loss weight on a top that is taken moves to the split's first top") {
  const auto net = Split(R"(
    layer { name: "a" top: "x" top: "v" loss_weight: 0.5 loss_weight: 2 phase: TRAIN }
    layer { name: "b" bottom: "x" top: "y" })");
  CHECK(Wiring(net) ==
        "a: -> x v\n"
        "x_a_0_split: x -> x_a_0_split_0 x_a_0_split_1\n"
        "b: x_a_0_split_1 -> y\n");
  CHECK(net.layer(0).loss_weight(0) == 0);
  CHECK(net.layer(0).loss_weight(1) == 2);
  REQUIRE(net.layer(1).loss_weight_size() == 2);
  CHECK(net.layer(1).loss_weight(0) == 0.5f);
  CHECK(net.layer(1).loss_weight(1) == 0);
  CHECK(net.layer(1).phase() == caffe::TRAIN);
}

TEST_CASE("a bottom that nobody makes is left for the net's builder to report") {
  CHECK(Wiring(Split(R"(layer { name: "b" bottom: "x" bottom: "x" top: "y" })")) == "b: x x -> y\n");
}

TEST_CASE("each layer of a net with splits is known by the written layer that it is, or whose top it splits") {
  const auto net = ParseNet(R"(
    layer { name: "a" top: "x" } layer { name: "b" bottom: "x" top: "y" } layer { name: "c" bottom: "x" top: "z" })",
                            "net");
  REQUIRE_OK(net);
  const SplitNet split = InsertSplitsInto(*net);
  std::string sources;
  for (const SplitNet::Source& source : split.sources)
    sources += std::to_string(source.layer) + (source.inserted ? "+ " : " ");
  CHECK(sources == "0 0+ 1 2 ");
  CHECK(split.net.layer_size() == 4);
}

}  // namespace samovar
