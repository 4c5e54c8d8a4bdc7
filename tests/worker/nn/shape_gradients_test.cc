// Gradients, against double-sided differences of the loss, of layers that normalise, scale, join, cut and rearrange blobs.
//
// What the layer reads comes from Parameter layers, so that the gradient by every bottom is one by a weight. The loss is one row of
// random weights times the layer's values: it shows every value's gradient apart.
// Tolerance: the loss is below 10 and rounded to 1e-6 or so after sums of at most some hundred terms; a step of 4e-3 makes of that
// 1e-6 / 8e-3 = 1.3e-4, and the third derivative adds about step^2 / 6 = 3e-6 times its size. 1e-3 of the larger of 1 and the
// gradient leaves room; a wrong term shows as 1e-2 or more. Where the layers have kinks, a step may move a value over one: at most 2 %
// of the weights may miss the tolerance there, and none elsewhere.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/thread_pool.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/worker/nn/test_net.h"

namespace samovar {
namespace {

// A learnable blob.
std::string Learnt(const std::string& name, const std::vector<int>& shape) {
  std::string text = absl::StrCat("layer { name: \"", name, "\" type: \"Parameter\" top: \"", name, "\" parameter_param { shape { ");
  for (int dim : shape) absl::StrAppend(&text, "dim: ", dim, " ");
  return text + "} } }\n";
}

// The loss of a blob: x times random weights.
std::string Loss(const std::string& bottom) {
  return absl::StrCat("layer { name: \"loss_", bottom, "\" type: \"InnerProduct\" bottom: \"", bottom, "\" top: \"loss_", bottom,
                      "\" loss_weight: 1 inner_product_param { num_output: 1 axis: 0 bias_term: false } }\n");
}

std::string LayerText(const std::string& type, const std::vector<std::string>& bottoms, const std::vector<std::string>& tops,
                      const std::string& fields) {
  std::string text = absl::StrCat("layer { name: \"tested\" type: \"", type, "\" ");
  for (const std::string& bottom : bottoms) absl::StrAppend(&text, "bottom: \"", bottom, "\" ");
  for (const std::string& top : tops) absl::StrAppend(&text, "top: \"", top, "\" ");
  return absl::StrCat(text, fields, " }\n");
}

float LossAt(Net* net, size_t weight, float value) {
  net->weights()[weight] = value;
  REQUIRE_OK(net->Forward(0, 0));
  return net->loss();
}

enum class Kinks { kNone, kSome };

void CheckGradients(const std::string& layers, Kinks kinks = Kinks::kNone) {
  INFO(layers);
  std::unique_ptr<Net> net = MakeNet(layers, NetOptions());
  FillWeights(net.get(), 5);
  const std::vector<float> gradients = Gradients(net.get());
  // Whatever the first pass left behind.
  REQUIRE(Gradients(net.get()) == gradients);
  constexpr float kStep = 4e-3f;
  size_t missed = 0;
  size_t checked = 0;
  float largest = 0;
  for (const v1::ParameterBlob& blob : net->layout().blobs()) {
    if (blob.lr_mult() == 0) continue;
    int64_t elements = 1;
    for (int64_t dim : blob.shape()) elements *= dim;
    for (size_t i = blob.offset(); i < blob.offset() + static_cast<size_t>(elements); ++i) {
      const float weight = net->weights()[i];
      const float difference = (LossAt(net.get(), i, weight + kStep) - LossAt(net.get(), i, weight - kStep)) / (2 * kStep);
      net->weights()[i] = weight;
      const float error = std::abs(difference - gradients[i]) / std::max(1.0f, std::abs(gradients[i]));
      largest = std::max(largest, std::abs(gradients[i]));
      missed += error > 1e-3f;
      ++checked;
      INFO(blob.layer() << " " << i - blob.offset() << ": difference " << difference << ", gradient " << gradients[i]);
      if (kinks == Kinks::kNone) REQUIRE(error <= 1e-3f);
    }
  }
  CHECK(missed * 50 <= checked);
  CHECK(largest > 0.05f);
}

// One layer with one bottom, of each of several shapes.
void CheckLayer(const std::string& type, const std::string& fields, const std::vector<std::vector<int>>& shapes) {
  for (const std::vector<int>& shape : shapes) {
    CheckGradients(Learnt("a", shape) + LayerText(type, {"a"}, {"x"}, fields) + Loss("x"));
  }
}

// In place over a layer of which nothing is read again, and below one that is in place too.
void CheckInPlace(const std::string& type, const std::string& fields, const std::vector<int>& shape) {
  CheckGradients(Learnt("a", shape) + LayerText(type, {"a"}, {"a"}, fields) +
                 R"(layer { name: "relu" type: "ReLU" bottom: "a" top: "a" relu_param { negative_slope: 0.5 } })" + Loss("a"),
                 Kinks::kSome);
}

TEST_CASE("batch norm's gradient agrees with differences, by the batch and by the totals") {
  CheckLayer("BatchNorm", "", {{3, 2, 3, 5}, {7, 3}, {9}, {2, 3, 1, 17}});
  CheckLayer("BatchNorm", "batch_norm_param { eps: 0.1 }", {{5, 4, 2, 2}});
  CheckLayer("BatchNorm", "batch_norm_param { use_global_stats: true eps: 3 }", {{3, 2, 3, 5}, {7, 3}});
  CheckInPlace("BatchNorm", "", {5, 3, 2, 3});
}

TEST_CASE("scale's and bias's gradients agree with differences") {
  for (const char* fields : {"", "scale_param { bias_term: true }", "scale_param { axis: 0 num_axes: 2 bias_term: true }",
                             "scale_param { axis: 1 num_axes: -1 }", "scale_param { axis: -1 bias_term: true }"}) {
    CheckLayer("Scale", fields, {{3, 2, 3, 5}, {5, 7}});
  }
  for (const char* fields : {"", "bias_param { axis: 0 num_axes: -1 }", "bias_param { axis: 1 num_axes: 1 }"}) {
    CheckLayer("Bias", fields, {{3, 2, 3, 5}, {5, 7}});
  }
  CheckInPlace("Scale", "scale_param { bias_term: true }", {5, 3, 2, 3});
  CheckInPlace("Bias", "", {5, 3, 2, 3});
}

TEST_CASE("gradients of scale and bias by a second bottom agree with differences") {
  for (const char* type : {"Scale", "Bias"}) {
    const std::string param = type == std::string("Scale") ? "scale_param" : "bias_param";
    const std::string blobs = Learnt("a", {3, 4, 5});
    CheckGradients(blobs + Learnt("b", {4}) + LayerText(type, {"a", "b"}, {"x"}, "") + Loss("x"));
    CheckGradients(blobs + Learnt("b", {3, 4}) + LayerText(type, {"a", "b"}, {"x"}, param + " { axis: 0 }") + Loss("x"));
    CheckGradients(blobs + Learnt("b", {5}) + LayerText(type, {"a", "b"}, {"a"}, param + " { axis: -1 }") + Loss("a"));
  }
  CheckGradients(Learnt("a", {3, 4, 5}) + Learnt("b", {4, 5}) + LayerText("Scale", {"a", "b"}, {"x"}, "scale_param { bias_term: true }") +
                 Loss("x"));
  // A number.
  const std::string number = R"(layer { name: "sum" type: "Reduction" bottom: "b" top: "c" })";
  for (const char* type : {"Scale", "Bias"}) {
    CheckGradients(Learnt("a", {3, 4}) + Learnt("b", {3}) + number + LayerText(type, {"a", "c"}, {"x"}, "") + Loss("x"));
  }
}

TEST_CASE("local response normalisation's gradient agrees with differences") {
  const std::vector<std::vector<int>> shapes = {{2, 7, 2, 3}, {1, 2, 3, 3}, {3, 1, 5, 4}};
  for (const char* fields : {"", "local_size: 3 alpha: 2 k: 0.5", "beta: 0.5 alpha: 3", "beta: 1 local_size: 1", "beta: 1.3 alpha: 2",
                             "norm_region: WITHIN_CHANNEL local_size: 3", "norm_region: WITHIN_CHANNEL alpha: 4 beta: 0.6"}) {
    CheckLayer("LRN", absl::StrCat("lrn_param { ", fields, " }"), shapes);
  }
  CheckInPlace("LRN", "", {2, 7, 2, 3});
}

TEST_CASE("deconvolution's gradients agree with differences") {
  for (const char* fields : {"num_output: 3 kernel_size: 3", "num_output: 4 kernel_size: 2 stride: 2 pad: 1 group: 2",
                             "num_output: 2 kernel_h: 3 kernel_w: 2 stride_h: 1 stride_w: 3 dilation: 2 dilation: 1 bias_term: false"}) {
    CheckLayer("Deconvolution", absl::StrCat("convolution_param { ", fields, " }"), {{9, 2, 3, 2}, {1, 4, 2, 5}});
  }
}

TEST_CASE("eltwise's gradients by all bottoms agree with differences, in place or not") {
  const std::string blobs = Learnt("a", {3, 5, 7}) + Learnt("b", {3, 5, 7}) + Learnt("c", {3, 5, 7});
  for (const char* fields : {"", "operation: SUM coeff: 0.5 coeff: -2 coeff: 1.5", "operation: PROD",
                             "operation: PROD stable_prod_grad: false", "operation: MAX"}) {
    for (const char* top : {"a", "x"}) {
      CheckGradients(blobs + LayerText("Eltwise", {"a", "b", "c"}, {top}, absl::StrCat("eltwise_param { ", fields, " }")) + Loss(top),
                     absl::StrContains(fields, "MAX") ? Kinks::kSome : Kinks::kNone);
    }
  }
}

TEST_CASE("concat's and slice's gradients agree with differences, also where a top has no loss") {
  CheckGradients(Learnt("a", {2, 3, 4}) + Learnt("b", {2, 1, 4}) + Learnt("c", {2, 2, 4}) +
                 LayerText("Concat", {"a", "b", "c"}, {"x"}, "") + Loss("x"));
  CheckGradients(Learnt("a", {2, 3}) + Learnt("b", {5, 3}) + LayerText("Concat", {"a", "b"}, {"x"}, "concat_param { axis: 0 }") +
                 Loss("x"));
  CheckGradients(Learnt("a", {2, 6, 3}) + LayerText("Slice", {"a"}, {"x", "y", "z"}, "slice_param { slice_point: 1 slice_point: 3 }") +
                 Loss("x") + Loss("z"));
  CheckGradients(Learnt("a", {2, 3, 4}) + LayerText("Slice", {"a"}, {"x", "y"}, "slice_param { axis: -1 }") + Loss("x") + Loss("y"));
}

TEST_CASE("gradients of layers that rearrange values agree with differences") {
  CheckLayer("Flatten", "", {{2, 3, 5}});
  CheckLayer("Reshape", "reshape_param { shape { dim: 0 dim: -1 } }", {{2, 3, 5}});
  CheckInPlace("Reshape", "reshape_param { shape { dim: 2 dim: 3 } }", {2, 3});
  CheckInPlace("Flatten", "", {2, 3, 5});
  CheckLayer("Tile", "tile_param { tiles: 3 }", {{2, 3, 5}, {4, 1}});
  CheckLayer("Tile", "tile_param { axis: 0 tiles: 2 }", {{2, 3}});
  for (const char* fields : {"offset: 1", "axis: 1 offset: 0 offset: 2 offset: 1", ""}) {
    CheckGradients(Learnt("a", {2, 3, 5, 4}) + Learnt("b", {2, 3, 3, 2}) +
                   LayerText("Crop", {"a", "b"}, {"x"}, absl::StrCat("crop_param { ", fields, " }")) +
                   Loss("x") + Loss("b"));
  }
}

// Of a blob whose diff has the memory of another, which a pass before filled.
TEST_CASE("what slice and crop do not read has a gradient of 0 in every pass") {
  const std::string blob = Learnt("a", {4, 6}) + R"(layer { name: "norm" type: "BatchNorm" bottom: "a" top: "a" })";
  CheckGradients(blob + LayerText("Slice", {"a"}, {"x", "y"}, "slice_param { slice_point: 2 }") + Loss("y"));
  CheckGradients(blob + Learnt("b", {4, 3}) + LayerText("Crop", {"a", "b"}, {"x"}, "crop_param { axis: 1 offset: 2 }") + Loss("x"));
}

TEST_CASE("reduction's gradient agrees with differences for every operation") {
  for (const std::string operation : {"SUM", "ASUM", "SUMSQ", "MEAN"}) {
    const Kinks kinks = operation == "ASUM" ? Kinks::kSome : Kinks::kNone;
    const std::string along = absl::StrCat("reduction_param { operation: ", operation, " axis: 1 coeff: 2.5 }");
    CheckGradients(Learnt("a", {3, 4, 5}) + LayerText("Reduction", {"a"}, {"x"}, along) + Loss("x"), kinks);
    const std::string whole = absl::StrCat("loss_weight: 0.5 reduction_param { operation: ", operation, " coeff: -3 }");
    CheckGradients(Learnt("a", {3, 5}) + LayerText("Reduction", {"a"}, {"x"}, whole), kinks);
  }
}

TEST_CASE("mean and variance normalisation's gradient agrees with differences") {
  for (const char* fields : {"", "normalize_variance: false", "across_channels: true",
                             "across_channels: true eps: 0.5 normalize_variance: false"}) {
    CheckLayer("MVN", absl::StrCat("mvn_param { ", fields, " }"), {{2, 3, 3, 3}, {3, 2, 11}});
  }
  CheckInPlace("MVN", "", {2, 3, 3, 3});
}

TEST_CASE("an embedding's gradients agree with differences") {
  std::unique_ptr<Net> net = MakeNet(R"(layer { name: "in" type: "Input" top: "words" input_param { shape { dim: 2 dim: 5 } } }
      layer { name: "tested" type: "Embed" bottom: "words" top: "x" embed_param { input_dim: 4 num_output: 3 } })" +
                                         Loss("x"),
                                     NetOptions());
  FillWeights(net.get(), 5);
  const std::vector<float> words = {0, 2, 1, 2, 2, 0, 0, 0, 1, 2};
  std::copy(words.begin(), words.end(), net->inputs()[0].tops[0].begin());
  const std::vector<float> gradients = Gradients(net.get());
  for (size_t i = 0; i < 15; ++i) {
    const float weight = net->weights()[i];
    const float difference = (LossAt(net.get(), i, weight + 0.25f) - LossAt(net.get(), i, weight - 0.25f)) / 0.5f;
    net->weights()[i] = weight;
    CHECK(gradients[i] == Approx(difference).margin(1e-4));
  }
  // No word is 3.
  CHECK(std::vector<float>(gradients.begin() + 9, gradients.begin() + 12) == std::vector<float>(3, 0.0f));
}

TEST_CASE("layers that sum over channels, planes or records compute the same bits with any number of threads") {
  const std::string blob = Learnt("a", {19, 5, 37, 41}) + Learnt("b", {19, 5, 37, 41});
  for (const std::string& layer :
       {LayerText("BatchNorm", {"a"}, {"x"}, ""), LayerText("Scale", {"a"}, {"x"}, "scale_param { bias_term: true }"),
        LayerText("Scale", {"a"}, {"x"}, "scale_param { axis: -1 bias_term: true }"), LayerText("Bias", {"a"}, {"x"}, ""),
        LayerText("LRN", {"a"}, {"x"}, "lrn_param { local_size: 3 }"),
        LayerText("LRN", {"a"}, {"x"}, "lrn_param { norm_region: WITHIN_CHANNEL }"),
        LayerText("Deconvolution", {"a"}, {"x"}, "convolution_param { num_output: 3 kernel_size: 3 stride: 2 }"),
        LayerText("Eltwise", {"a", "b"}, {"x"}, "eltwise_param { operation: MAX }"), LayerText("Concat", {"a", "b"}, {"x"}, ""),
        LayerText("Tile", {"a"}, {"x"}, "tile_param { tiles: 2 }"), LayerText("MVN", {"a"}, {"x"}, ""),
        LayerText("Reduction", {"a"}, {"x"}, "reduction_param { operation: SUMSQ axis: 1 }")}) {
    INFO(layer);
    auto compute = [&](ThreadPool* pool) {
      NetOptions options;
      options.pool = pool;
      std::unique_ptr<Net> net = MakeNet(blob + layer + Loss("x"), options);
      FillWeights(net.get(), 1);
      std::vector<float> values = Gradients(net.get());
      values.push_back(net->loss());
      return values;
    };
    const std::vector<float> alone = compute(nullptr);
    for (int threads : {1, 3}) {
      ThreadPool pool(threads);
      CHECK(compute(&pool) == alone);
    }
  }
}

}  // namespace
}  // namespace samovar
