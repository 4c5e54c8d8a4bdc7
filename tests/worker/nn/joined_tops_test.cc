// Convolutions below a Concat of channels compute in its top: nobody sees the difference.
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/worker/nn/fusion_check.h"
#include "tests/worker/nn/test_net.h"
#include "worker/nn/net.h"

namespace samovar {
namespace {

std::string Conv(const std::string& name, const std::string& fields, const std::string& more = "") {
  return absl::StrCat("layer { name: \"", name, "\" type: \"Convolution\" bottom: \"below\" top: \"", name, "\" ", more,
                      " convolution_param { ", fields, " } }");
}
std::string InPlace(const std::string& type, const std::string& blob, const std::string& fields = "") {
  return absl::StrCat("layer { name: \"", blob, "_", type, "\" type: \"", type, "\" bottom: \"", blob, "\" top: \"",
                      blob, "\" ", fields, " }");
}
std::string Pool(const std::string& bottom, const std::string& top, const std::string& fields) {
  return absl::StrCat("layer { name: \"", top, "\" type: \"Pooling\" bottom: \"", bottom, "\" top: \"", top,
                      "\" pooling_param { ", fields, " } }");
}
std::string Concat(const std::string& bottoms, const std::string& fields = "") {
  return absl::StrCat("layer { name: \"all\" type: \"Concat\" ", bottoms, " top: \"all\" concat_param { ", fields,
                      " } }");
}

const std::string kTwo = R"(bottom: "a" bottom: "b")";
const std::string kThree = R"(bottom: "a" bottom: "b" bottom: "c")";
const std::string kSame = "num_output: 5 kernel_size: 3 pad: 1";

// Whether the values of the blob lie in another one.
bool IsJoined(const std::string& text, const std::string& blob, const NetOptions& options = Small()) {
  return !MakeNet(text, options)->FindBlob(blob).ok();
}

TEST_CASE("convolutions of all kinds compute in the top of a Concat") {
  const std::string plain = Conv("a", kSame) + Conv("b", "num_output: 18 kernel_size: 1");
  const std::string sides = Conv("a", "num_output: 20 kernel_size: 3 pad: 1") +
                            Conv("b", "num_output: 17 kernel_size: 5 pad: 2") +
                            Conv("c", "num_output: 3 kernel_size: 1");
  const std::string groups = Conv("a", "num_output: 6 kernel_size: 3 pad: 1 group: 3") +
                             Conv("b", "num_output: 6 kernel_size: 3 pad: 1 group: 6");
  for (const int batch : {1, 2, 9}) {
    INFO("batch " << batch);
    CheckFusion(NetText(batch, plain + Concat(kTwo), "all"), Small());
    CheckFusion(NetText(batch, plain + InPlace("ReLU", "a") + InPlace("ReLU", "b") + Concat(kTwo), "all"), Small());
    CheckFusion(NetText(batch, sides + InPlace("ReLU", "b") + Concat(kThree), "all"), Small());
    CheckFusion(NetText(batch, groups + InPlace("ReLU", "a") + Concat(kTwo), "all"), Small());
  }
  CHECK(IsJoined(NetText(2, plain + Concat(kTwo), "all"), "a"));
  CHECK(IsJoined(NetText(2, plain + Concat(kTwo), "all"), "b"));
}

TEST_CASE("convolutions with their pools compute in the top of a Concat") {
  const std::string convolutions = Conv("a", kSame) + Conv("b", "num_output: 4 kernel_size: 1");
  const std::string half = "kernel_size: 2 stride: 2";
  for (const std::string a : {"pool: MAX", "pool: AVE"}) {
    const std::string pools = Pool("a", "pa", a + " " + half) + Pool("b", "pb", half);
    const std::string concat = Concat(R"(bottom: "pa" bottom: "pb")");
    CheckFusion(NetText(9, convolutions + pools + concat, "all"), Small());
    CheckFusion(NetText(9, convolutions + InPlace("ReLU", "a") + InPlace("ReLU", "b") + pools + concat, "all"),
                Small());
    CheckFusion(NetText(9, convolutions + pools + InPlace("ReLU", "pa") + InPlace("ReLU", "pb") + concat, "all"),
                Small());
    CHECK(IsJoined(NetText(9, convolutions + pools + concat, "all"), "pa"));
  }
}

TEST_CASE("bottoms of a Concat that are no convolutions' tops are copied between those that are") {
  const std::string convolutions = Conv("a", kSame) + Conv("c", kSame);
  for (const std::string& b :
       {Pool("below", "b", "kernel_size: 3 stride: 1 pad: 1"), Conv("b", kSame) + InPlace("Sigmoid", "b"),
        Conv("b", kSame) + R"(layer { name: "norm" type: "BatchNorm" bottom: "b" top: "b" })"}) {
    INFO(b);
    CheckFusion(NetText(9, convolutions + b + Concat(kThree), "all"), Small(), DifferenceOfAll);
    CHECK(IsJoined(NetText(9, convolutions + b + Concat(kThree), "all"), "a"));
  }
}

TEST_CASE("a blob that a Concat and another layer read, or a Concat twice, is copied") {
  const std::string convolutions = Conv("a", kSame) + Conv("b", kSame);
  const std::string sum = R"(layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" top: "sum" })";
  const std::string both = R"(layer { name: "both" type: "Concat" bottom: "all" bottom: "sum" top: "both" })";
  CheckFusion(NetText(9, convolutions + sum + Concat(kTwo) + both, "both"), Small());
  CheckFusion(NetText(9, convolutions + Concat(kTwo + R"( bottom: "a")"), "all"), Small());
}

TEST_CASE("a Concat of Concats has the values of both") {
  const std::string inner = Conv("a", kSame) + Conv("b", kSame) + Concat(kTwo);
  const std::string outer = Conv("c", kSame) + R"(
      layer { name: "outer" type: "Concat" bottom: "c" bottom: "all" top: "outer" })";
  CheckFusion(NetText(9, inner + outer, "outer"), Small());
}

TEST_CASE("layers in place above a Concat do not disturb the gradients of the convolutions below") {
  const std::string convolutions = Conv("a", kSame) + InPlace("ReLU", "a") + Conv("b", kSame) + Concat(kTwo);
  // Only the net's Split reads the blob that "seen" reads.
  for (const std::string type : {"Dropout", "Sigmoid", "Power", "ReLU", "LRN"}) {
    const std::string fields = type == "Power" ? "power_param { scale: -1 }" : "";
    INFO(type);
    CheckFusion(NetText(9, convolutions + InPlace(type, "all", fields), "all"), Small());
  }
  const std::string inverted = convolutions + InPlace("Power", "all", "power_param { scale: -1 }");
  CHECK_FALSE(IsJoined(NetText(9, inverted, "all"), "b"));
  // Nothing is read again.
  NetOptions test = Small();
  test.phase = caffe::TEST;
  CHECK(IsJoined(NetText(9, inverted, "all"), "b", test));
}

TEST_CASE("a Concat of records or of rows copies its bottoms") {
  const std::string convolutions = Conv("a", kSame) + Conv("b", kSame);
  CheckFusion(NetText(9, convolutions + Concat(kTwo, "axis: 2"), "all"), Small());
  CHECK_FALSE(IsJoined(NetText(9, convolutions + Concat(kTwo, "axis: 2"), "all"), "a"));
  const std::string slice = R"(layer { name: "half" type: "Slice" bottom: "all" top: "upper" top: "lower"
                                       slice_param { axis: 0 } }
                               layer { name: "sum" type: "Eltwise" bottom: "upper" bottom: "lower" top: "sum" })";
  CheckFusion(NetText(9, convolutions + Concat(kTwo, "axis: 0") + slice, "sum"), Small());
}

TEST_CASE("a convolution below a Concat that does not learn leaves the others' gradients alone") {
  const std::string frozen = "param { lr_mult: 0 } param { lr_mult: 0 } propagate_down: false";
  CheckFusion(NetText(9, Conv("a", kSame, frozen) + InPlace("ReLU", "a") + Conv("b", kSame) + Concat(kTwo), "all"),
              Small());
  CheckFusion(NetText(9, Conv("a", kSame) + InPlace("ReLU", "a") + Conv("b", kSame, frozen) + Concat(kTwo), "all"),
              Small());
}

TEST_CASE("phase TEST computes in the top of a Concat what phase TRAIN does") {
  const std::string text = NetText(
      9, Conv("a", kSame) + InPlace("ReLU", "a") + Conv("b", "num_output: 4 kernel_size: 1") + Concat(kTwo), "all");
  NetOptions test = Small();
  test.phase = caffe::TEST;
  const auto outputs = [&](const NetOptions& options) {
    std::unique_ptr<Net> net = MakeNet(text, options);
    FillWeights(net.get(), 1, 0.5f);
    FillRecords(net.get(), 2, kClasses);
    REQUIRE_OK(net->Forward(0, 0, 0));
    return std::vector<float>(net->outputs().begin(), net->outputs().end());
  };
  CHECK(outputs(test) == outputs(Small()));
}

}  // namespace
}  // namespace samovar
