// DummyData's shapes and values.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/worker/nn/test_net.h"

namespace samovar {
namespace {

std::string Dummy(const std::string& fields, const std::string& tops = "top: \"x\"",
                  const std::string& name = "dummy") {
  return absl::StrCat("layer { name: \"", name, "\" type: \"DummyData\" ", tops, " dummy_data_param { ", fields,
                      " } }\n");
}

std::unique_ptr<Net> DummyNet(const std::string& layers, int batch_size = 0) {
  NetOptions options;
  options.phase = caffe::TEST;
  options.batch_size = batch_size;
  return MakeNet(layers, options);
}

std::vector<float> Values(Net* net, uint64_t iteration = 0, uint64_t seed = 0, uint64_t first_record = 0) {
  REQUIRE_OK(net->Forward(iteration, seed, first_record));
  return {net->outputs().begin(), net->outputs().end()};
}

constexpr char kUniform[] = "data_filler { type: \"uniform\" min: -2 max: -1 }";

TEST_CASE("dummy data is what its fillers say, 0 without any") {
  CHECK(Values(DummyNet(Dummy("shape { dim: 2 dim: 2 }")).get()) == std::vector<float>(4, 0.0f));
  CHECK(Values(DummyNet(Dummy("shape { dim: 3 } data_filler { value: 1.5 }", "top: \"x\" top: \"y\"")).get()) ==
        std::vector<float>(6, 1.5f));
  CHECK(Values(DummyNet(Dummy("shape { dim: 1 } shape { dim: 2 } data_filler { value: 1 } data_filler { value: 2 }",
                              "top: \"x\" top: \"y\""))
                   .get()) == std::vector<float>{1, 2, 2});
  CHECK(Values(DummyNet(Dummy("num: 2 channels: 3 height: 1 width: 4 data_filler { value: 1 }")).get()) ==
        std::vector<float>(24, 1.0f));
  const std::vector<float> uniform = Values(DummyNet(Dummy(absl::StrCat("shape { dim: 50 } ", kUniform))).get());
  const auto [least, most] = std::minmax_element(uniform.begin(), uniform.end());
  CHECK(*least >= -2);
  CHECK(*most < -1);
  CHECK(*least < *most);
}

TEST_CASE(
    "dummy data that is not constant is another in each iteration, seed, layer and top, and the same for the same") {
  const std::string shape = absl::StrCat("shape { dim: 20 } ", kUniform);
  std::unique_ptr<Net> net = DummyNet(Dummy(shape, "top: \"x\" top: \"y\"") + Dummy(shape, "top: \"z\"", "other"));
  const std::vector<float> values = Values(net.get(), 1, 1);
  const auto top = [&](size_t i) {
    return std::vector<float>(values.begin() + static_cast<ptrdiff_t>(i * 20),
                              values.begin() + static_cast<ptrdiff_t>((i + 1) * 20));
  };
  CHECK(top(0) != top(1));
  CHECK(top(0) != top(2));
  CHECK(Values(net.get(), 2, 1) != values);
  CHECK(Values(net.get(), 1, 2) != values);
  CHECK(Values(net.get(), 1, 1) == values);
}

TEST_CASE("dummy data has the batch that is asked for, and does not depend on how an iteration is cut") {
  const std::string text = Dummy(absl::StrCat("shape { dim: 6 dim: 3 } ", kUniform));
  const std::vector<float> whole = Values(DummyNet(text).get(), 4, 2);
  REQUIRE(whole.size() == 18);
  std::vector<float> parts = Values(DummyNet(text, 4).get(), 4, 2, 0);
  const std::vector<float> rest = Values(DummyNet(text, 2).get(), 4, 2, 4);
  parts.insert(parts.end(), rest.begin(), rest.end());
  CHECK(parts == whole);
}

TEST_CASE("beside a data layer only what is as long as its batch changes with it") {
  NetOptions options = ImageOptions(caffe::TEST, 1, 2, 2);
  options.batch_size = 3;
  std::unique_ptr<Net> net = MakeNet(DataText(5) + R"(
      layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" inner_product_param { num_output: 4 } }
      layer { name: "h" type: "DummyData" top: "h" dummy_data_param { shape { dim: 4 dim: 4 } data_filler { value: 1 } } }
      layer { name: "i" type: "InfogainLoss" bottom: "a" bottom: "label" bottom: "h" top: "i" }
      layer { name: "b" type: "DummyData" top: "b" dummy_data_param { shape { dim: 5 dim: 4 } data_filler { value: 1 } } }
      layer { name: "c" type: "Input" top: "c" input_param { shape { dim: 5 dim: 4 } } }
      layer { name: "e" type: "Eltwise" bottom: "a" bottom: "b" bottom: "c" top: "e" })",
                                     options);
  CHECK(net->batch_size() == 3);
  REQUIRE_OK(net->Forward(0, 0));
  CHECK(net->FindBlob("e")->shape == Shape{3, 4});
}

TEST_CASE("constant dummy data survives what stands above it in place") {
  std::unique_ptr<Net> net =
      DummyNet(Dummy("shape { dim: 2 } data_filler { value: 3 }") +
               R"(layer { name: "p" type: "Power" bottom: "x" top: "x" power_param { scale: 2 } })");
  CHECK(Values(net.get()) == std::vector<float>{6, 6});
  CHECK(Values(net.get()) == std::vector<float>{6, 6});
}

TEST_CASE("dummy data whose shapes or fillers do not fit is refused") {
  const auto create = [](const std::string& fields, const std::string& tops = "top: \"x\" top: \"y\" top: \"z\"") {
    return Net::Create(NetFromText(Dummy(fields, tops)), NetOptions()).status();
  };
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  REQUIRE_STATUS(create(""), kInvalid,
                 "layer \"dummy\" (DummyData): dummy_data_param.shape is given 0 times for 3 tops");
  REQUIRE_STATUS(create("shape { dim: 1 } shape { dim: 1 }"), kInvalid,
                 "dummy_data_param.shape is given 2 times for 3 tops");
  REQUIRE_STATUS(create("shape { dim: 1 } data_filler { } data_filler { }"), kInvalid, "data_filler is given 2 times");
  REQUIRE_STATUS(create("num: 1 channels: 1 height: 1"), kInvalid, "dummy_data_param.width is given 0 times");
  REQUIRE_STATUS(create("num: 1 shape { dim: 1 }"), kInvalid, "but not both");
  REQUIRE_STATUS(create("shape { dim: 0 }"), kInvalid, "dummy_data_param: shape [0] is not positive");
  REQUIRE_STATUS(create("num: 4000000000 channels: 4000000000 height: 4000000000 width: 1"), kInvalid, "2^31");
  REQUIRE_STATUS(create("shape { dim: 1 } data_filler { type: \"magic\" }"), kInvalid, "unknown filler \"magic\"");
}

}  // namespace
}  // namespace samovar
