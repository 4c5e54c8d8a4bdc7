#include "common/caffe/net_filter.h"

#include <string>
#include <vector>

#include "common/caffe/prototxt.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

caffe::NetParameter Net(const std::string& text) {
  auto net = ParseNet(text, "net");
  REQUIRE_OK(net);
  return *net;
}

caffe::NetState State(caffe::Phase phase, int level = 0, const std::vector<std::string>& stages = {}) {
  caffe::NetState state;
  state.set_phase(phase);
  state.set_level(level);
  for (const std::string& stage : stages) state.add_stage(stage);
  return state;
}

// Names of the layers that are left, one letter each.
std::string Left(const caffe::NetParameter& net, const caffe::NetState& state) {
  auto filtered = FilterNet(net, state);
  REQUIRE_OK(filtered);
  std::string names;
  for (const caffe::LayerParameter& layer : filtered->layer()) names += layer.name();
  return names;
}

}  // namespace

TEST_CASE("a layer without rules is always in the net") {
  const auto net = Net(R"(layer { name: "a" } layer { name: "b" })");
  CHECK(Left(net, State(caffe::TRAIN)) == "ab");
  CHECK(Left(net, State(caffe::TEST, 7, {"deploy"})) == "ab");
}

TEST_CASE("a layer with include rules is in the net if one of them matches") {
  const auto net = Net(R"(
    layer { name: "a" include { phase: TRAIN } }
    layer { name: "b" include { phase: TEST } }
    layer { name: "c" include { phase: TRAIN } include { phase: TEST } })");
  CHECK(Left(net, State(caffe::TRAIN)) == "ac");
  CHECK(Left(net, State(caffe::TEST)) == "bc");
}

TEST_CASE("a layer with exclude rules is in the net if none of them matches") {
  const auto net = Net(R"(
    layer { name: "a" exclude { phase: TRAIN } }
    layer { name: "b" exclude { phase: TRAIN stage: "x" } exclude { phase: TEST } })");
  CHECK(Left(net, State(caffe::TRAIN)) == "b");
  CHECK(Left(net, State(caffe::TRAIN, 0, {"x"})) == "");
  CHECK(Left(net, State(caffe::TEST)) == "a");
}

TEST_CASE("levels match from the least to the greatest, both included") {
  const auto net = Net(R"(layer { name: "a" include { min_level: 2 max_level: 4 } } layer { name: "b" })");
  CHECK(Left(net, State(caffe::TEST, 1)) == "b");
  CHECK(Left(net, State(caffe::TEST, 2)) == "ab");
  CHECK(Left(net, State(caffe::TEST, 4)) == "ab");
  CHECK(Left(net, State(caffe::TEST, 5)) == "b");
}

TEST_CASE("every stage of a rule must be there, and no not_stage") {
  const auto net = Net(R"(layer { name: "a" include { stage: "x" stage: "y" not_stage: "z" } } layer { name: "b" })");
  CHECK(Left(net, State(caffe::TEST, 0, {"x"})) == "b");
  CHECK(Left(net, State(caffe::TEST, 0, {"y", "x"})) == "ab");
  CHECK(Left(net, State(caffe::TEST, 0, {"x", "y", "z"})) == "b");
}

TEST_CASE("the filtered net has no rules, the state, and a phase in each layer") {
  const auto net = Net(R"(layer { name: "a" include { phase: TEST } } layer { name: "b" phase: TRAIN })");
  auto filtered = FilterNet(net, State(caffe::TEST, 3));
  REQUIRE_OK(filtered);
  REQUIRE(filtered->layer_size() == 2);
  CHECK(filtered->state().level() == 3);
  CHECK(filtered->layer(0).include_size() == 0);
  CHECK(filtered->layer(0).phase() == caffe::TEST);
  CHECK(filtered->layer(1).phase() == caffe::TRAIN);
}

TEST_CASE("a layer with rules of both kinds is refused by name") {
  const auto net = Net(R"(layer { name: "odd" include { phase: TEST } exclude { stage: "x" } })");
  REQUIRE_STATUS(FilterNet(net, State(caffe::TEST)), absl::StatusCode::kInvalidArgument, "layer \"odd\"");
}

TEST_CASE("the layers that are kept are told by their numbers in the whole net") {
  const auto net = Net(
      R"(layer { name: "a" } layer { name: "b" include { phase: TEST } } layer { name: "c" exclude { phase: TEST } })");
  std::vector<int> kept;
  REQUIRE_OK(FilterNet(net, State(caffe::TRAIN), &kept));
  CHECK(kept == std::vector<int>{0, 2});
  REQUIRE_OK(FilterNet(net, State(caffe::TEST), &kept));
  CHECK(kept == std::vector<int>{0, 1});
}

}  // namespace samovar
