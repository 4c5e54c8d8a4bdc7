// Values of the layers that join, cut, rearrange, upsample and look up, worked out by hand.
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/worker/nn/input_net.h"
#include "tests/worker/nn/test_net.h"

namespace samovar {
namespace {

using Values = std::vector<float>;

TEST_CASE("eltwise adds with coefficients, multiplies, or takes the maximum") {
  const std::vector<Given> abc = {{"a", {1, 3}, {1, 2, 3}}, {"b", {1, 3}, {4, 2, -6}}, {"c", {1, 3}, {7, -8, 3}}};
  auto eltwise = [&](const std::string& fields) {
    return Outputs(
        abc, R"(layer { name: "e" type: "Eltwise" bottom: "a" bottom: "b" bottom: "c" top: "a" eltwise_param { )" +
                 fields + " } }");
  };
  CHECK(eltwise("") == Values{12, -4, 0});
  CHECK(eltwise("coeff: 10 coeff: 1 coeff: -1") == Values{7, 30, 21});
  CHECK(eltwise("operation: PROD") == Values{28, -32, -54});
  CHECK(eltwise("operation: MAX") == Values{7, 2, 3});
}

TEST_CASE("of equal maxima the second bottom takes the gradient before the first, and both before the third") {
  std::string text;
  for (const char* name : {"a", "b", "c"}) {
    absl::StrAppend(&text, "layer { name: \"", name, "\" type: \"Parameter\" top: \"", name,
                    "\" parameter_param { shape { dim: 4 } } }\n");
  }
  std::unique_ptr<Net> net = MakeNet(text + R"(
      layer { name: "e" type: "Eltwise" bottom: "a" bottom: "b" bottom: "c" top: "x" loss_weight: 1
              eltwise_param { operation: MAX } })",
                                     NetOptions());
  const Values weights = {1, 1, 3, 1, /*b*/ 1, 1, 1, 2, /*c*/ 1, 0, 3, 2};
  std::copy(weights.begin(), weights.end(), net->weights().begin());
  CHECK(Gradients(net.get()) == Values{0, 0, 1, 0, /*b*/ 1, 1, 0, 1, /*c*/ 0, 0, 0, 0});
}

TEST_CASE("a product's gradient is right where a factor is 0") {
  std::unique_ptr<Net> net =
      MakeNet(R"(layer { name: "a" type: "Parameter" top: "a" parameter_param { shape { dim: 2 } } }
      layer { name: "b" type: "Parameter" top: "b" parameter_param { shape { dim: 2 } } }
      layer { name: "e" type: "Eltwise" bottom: "a" bottom: "b" top: "x" loss_weight: 1
              eltwise_param { operation: PROD stable_prod_grad: false } })",
              NetOptions());
  const Values weights = {0, 2, 5, 3};
  std::copy(weights.begin(), weights.end(), net->weights().begin());
  CHECK(Gradients(net.get()) == Values{5, 3, 0, 2});
}

TEST_CASE("concat puts blobs one after the other along an axis") {
  const std::vector<Given> ab = {{"a", {2, 1, 2}, {1, 2, 3, 4}}, {"b", {2, 2, 2}, {5, 6, 7, 8, 9, 10, 11, 12}}};
  auto concat = [](const std::vector<Given>& inputs, const std::string& fields) {
    return Outputs(inputs, R"(layer { name: "c" type: "Concat" bottom: "a" bottom: "b" top: "x" concat_param { )" +
                               fields + " } }");
  };
  const Values along_1 = {1, 2, 5, 6, 7, 8, 3, 4, 9, 10, 11, 12};
  CHECK(concat(ab, "") == along_1);
  CHECK(concat(ab, "axis: -2") == along_1);
  CHECK(concat(ab, "concat_dim: 1") == along_1);
  CHECK(concat({{"a", {1, 2}, {1, 2}}, {"b", {2, 2}, {3, 4, 5, 6}}}, "axis: 0") == Values{1, 2, 3, 4, 5, 6});
  CHECK(Outputs({ab[0]}, R"(layer { name: "c" type: "Concat" bottom: "a" top: "x" })") == ab[0].values);
}

TEST_CASE("slice cuts in equal parts, or at the given points") {
  const Given a{"a", {2, 4}, {1, 2, 3, 4, 5, 6, 7, 8}};
  auto slice = [&](const std::string& tops, const std::string& fields) {
    return Outputs(
        {a}, absl::StrCat(R"(layer { name: "s" type: "Slice" bottom: "a" )", tops, " slice_param { ", fields, " } }"));
  };
  CHECK(slice(R"(top: "x" top: "y")", "") == Values{1, 2, 5, 6, 3, 4, 7, 8});
  CHECK(slice(R"(top: "x" top: "y" top: "z")", "slice_dim: 1 slice_point: 1 slice_point: 2") ==
        Values{1, 5, 2, 6, 3, 4, 7, 8});
  CHECK(slice(R"(top: "y" top: "x")", "axis: 0") == Values{5, 6, 7, 8, 1, 2, 3, 4});
}

// A layer's result for the shape of a blob [2, 3, 4], seen through the number of parameters that a product has along
// each axis.
Shape ShapeAfter(const std::string& layer) {
  const std::string text =
      R"(layer { name: "in" type: "Input" top: "a" input_param { shape { dim: 2 dim: 3 dim: 4 } } })" + layer;
  NetOptions options;
  options.phase = caffe::TEST;
  Shape shape;
  int64_t behind = 1;
  for (int axis = -1;; --axis) {
    absl::StatusOr<std::unique_ptr<Net>> net = Net::Create(
        NetFromText(absl::StrCat(
            text, R"(layer { name: "p" type: "InnerProduct" bottom: "x" top: "p" inner_product_param { num_output: 1
                    bias_term: false axis: )",
            axis, " } }")),
        options);
    if (!net.ok()) return shape;
    const int64_t elements = static_cast<int64_t>((*net)->weights().size());
    shape.insert(shape.begin(), elements / behind);
    behind = elements;
  }
}

TEST_CASE("flatten makes one axis of several") {
  auto flatten = [](const std::string& fields) {
    return ShapeAfter(R"(layer { name: "f" type: "Flatten" bottom: "a" top: "x" flatten_param { )" + fields + " } }");
  };
  CHECK(flatten("") == Shape{2, 12});
  CHECK(flatten("axis: 0 end_axis: 1") == Shape{6, 4});
  CHECK(flatten("axis: -3 end_axis: -1") == Shape{24});
  CHECK(Outputs({{"a", {1, 2, 2}, {1, 2, 3, 4}}}, R"(layer { name: "f" type: "Flatten" bottom: "a" top: "a" })") ==
        Values{1, 2, 3, 4});
}

TEST_CASE("reshape copies dims of 0, infers one of -1, and may touch some axes only") {
  auto reshape = [](const std::string& fields) {
    return ShapeAfter(R"(layer { name: "r" type: "Reshape" bottom: "a" top: "x" reshape_param { )" + fields + " } }");
  };
  CHECK(reshape("shape { dim: 0 dim: -1 }") == Shape{2, 12});
  CHECK(reshape("shape { dim: 4 dim: 6 }") == Shape{4, 6});
  CHECK(reshape("shape { dim: -1 dim: 0 dim: 2 }") == Shape{4, 3, 2});
  CHECK(reshape("axis: 1 shape { dim: 2 dim: -1 }") == Shape{2, 2, 6});
  CHECK(reshape("axis: 1 num_axes: 1 shape { dim: 3 dim: 1 }") == Shape{2, 3, 1, 4});
  CHECK(reshape("axis: 1 num_axes: 0 shape { dim: 1 }") == Shape{2, 1, 3, 4});
  CHECK(reshape("axis: -1 shape { dim: 1 }") == Shape{2, 3, 4, 1});
}

TEST_CASE("reduction makes one number of each row") {
  const Given a{"a", {2, 2, 2}, {1, -2, 3, -4, 5, 6, 0, -7}};
  auto reduce = [&](const std::string& fields) {
    return Outputs({a},
                   R"(layer { name: "r" type: "Reduction" bottom: "a" top: "x" reduction_param { )" + fields + " } }");
  };
  CHECK(reduce("") == Values{2});
  CHECK(reduce("axis: 1 coeff: 3") == Values{-6, 12});
  CHECK(reduce("operation: ASUM axis: 2") == Values{3, 7, 11, 7});
  CHECK(reduce("operation: SUMSQ axis: -2") == Values{30, 110});
  CHECK(reduce("operation: MEAN axis: 1 coeff: 2") == Values{-1, 2});
}

TEST_CASE("a reduction of a long row is right") {
  Values values(100003, 1.0f);
  values[70000] = 3;
  CHECK(Outputs({{"a", {1, 100003}, values}}, R"(layer { name: "r" type: "Reduction" bottom: "a" top: "x" })") ==
        Values{100005});
}

TEST_CASE("crop takes the second blob's size from an offset on") {
  const std::vector<Given> ab = {{"a", {1, 1, 3, 4}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}},
                                 {"b", {1, 1, 2, 2}, {0, 0, 0, 0}}};
  auto crop = [&](const std::string& fields) {
    return Outputs(
        ab, R"(layer { name: "c" type: "Crop" bottom: "a" bottom: "b" top: "x" crop_param { )" + fields + " } }");
  };
  CHECK(crop("") == Values{1, 2, 5, 6});
  CHECK(crop("offset: 1") == Values{6, 7, 10, 11});
  CHECK(crop("offset: 0 offset: 2") == Values{3, 4, 7, 8});
  CHECK(Outputs(
            {{"a", {2, 3}, {1, 2, 3, 4, 5, 6}}, {"b", {1, 2}, {0, 0}}},
            R"(layer { name: "c" type: "Crop" bottom: "a" bottom: "b" top: "x" crop_param { axis: 0 offset: 1 } })") ==
        Values{5, 6});
}

TEST_CASE("tile repeats a blob along an axis") {
  const Given a{"a", {2, 2}, {1, 2, 3, 4}};
  CHECK(Outputs({a}, R"(layer { name: "t" type: "Tile" bottom: "a" top: "x" tile_param { tiles: 2 } })") ==
        Values{1, 2, 1, 2, 3, 4, 3, 4});
  CHECK(Outputs({a}, R"(layer { name: "t" type: "Tile" bottom: "a" top: "x" tile_param { axis: 0 tiles: 2 } })") ==
        Values{1, 2, 3, 4, 1, 2, 3, 4});
}

TEST_CASE("deconvolution adds the kernel, times each value, to a window of the output") {
  auto deconvolve = [](const Given& a, const std::string& fields, const Values& weights) {
    return Outputs(
        {a}, R"(layer { name: "d" type: "Deconvolution" bottom: "a" top: "x" convolution_param { )" + fields + " } }",
        weights);
  };
  const Given row{"a", {1, 1, 1, 2}, {1, 2}};
  CHECK(deconvolve(row, "num_output: 1 kernel_h: 1 kernel_w: 3", {1, 10, 100, 0.5}) == Values{1.5, 12.5, 120.5, 200.5});
  CHECK(deconvolve(row, "num_output: 1 kernel_h: 1 kernel_w: 3 stride_h: 1 stride_w: 2 bias_term: false",
                   {1, 10, 100}) == Values{1, 10, 102, 20, 200});
  CHECK(deconvolve(row,
                   "num_output: 1 kernel_h: 1 kernel_w: 3 stride_h: 1 stride_w: 2 pad_h: 0 pad_w: 1 bias_term: false",
                   {1, 10, 100}) == Values{10, 102, 20});
  CHECK(deconvolve(row, "num_output: 1 kernel_h: 1 kernel_w: 2 dilation: 1 dilation: 2 bias_term: false", {1, 10}) ==
        Values{1, 2, 10, 20});
  // Weights [2 inputs, 1 output of the group]: each output has its own input.
  const Given two{"a", {1, 2, 1, 1}, {3, 4}};
  CHECK(deconvolve(two, "num_output: 2 kernel_size: 1 group: 2 bias_term: false", {10, 100}) == Values{30, 400});
  // Weights [2 inputs, 2 outputs].
  CHECK(deconvolve(two, "num_output: 2 kernel_size: 1 bias_term: false", {1, 10, 100, 1000}) == Values{403, 4030});
}

TEST_CASE("an embedding looks up the row of each number, and refuses what is none") {
  const std::string embed =
      R"(layer { name: "e" type: "Embed" bottom: "a" top: "x" embed_param { input_dim: 3 num_output: 2 } })";
  CHECK(Outputs({{"a", {1, 2}, {2, 0}}}, embed, {1, 2, 3, 4, 5, 6, 10, 20}) == Values{15, 26, 11, 22});
  std::unique_ptr<Net> net =
      MakeNet(R"(layer { name: "in" type: "Input" top: "a" input_param { shape { dim: 1 } } })" + embed, [] {
        NetOptions options;
        options.phase = caffe::TEST;
        return options;
      }());
  for (float value : {3.0f, -1.0f, 0.5f, 1e30f, std::numeric_limits<float>::quiet_NaN()}) {
    net->inputs()[0].tops[0][0] = value;
    REQUIRE_STATUS(net->Forward(7, 0), absl::StatusCode::kInvalidArgument,
                   "iteration 7: layer \"e\" (Embed): its bottom \"a\" has the value ");
  }
}

}  // namespace
}  // namespace samovar
