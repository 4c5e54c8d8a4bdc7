// Gradients of layers that scale, cut and sum, where the tables of gradient_matrix.h do not reach.
#include <string>
#include <vector>

#include "common/base/thread_pool.h"
#include "tests/support/catch.h"
#include "tests/worker/nn/blob_gradients.h"
#include "tests/worker/nn/test_net.h"

namespace samovar {
namespace {

TEST_CASE("gradients of scale and bias by a number agree with differences") {
  const std::string number = R"(layer { name: "sum" type: "Reduction" bottom: "b" top: "c" })";
  for (const char* type : {"Scale", "Bias"}) {
    CheckBlobGradients(Learnt("a", {3, 4}) + Learnt("b", {3}) + number + LayerText(type, {"a", "c"}, {"x"}, "") +
                       RowLoss("x"));
  }
  CheckBlobGradients(Learnt("a", {3, 4}) + Learnt("b", {3}) + number +
                     LayerText("Scale", {"a", "c"}, {"x"}, "scale_param { bias_term: true }") + RowLoss("x"));
}

TEST_CASE("a slice's gradient is right where the first of its tops, or one between, has no loss") {
  const std::string slice = Learnt("a", {2, 6, 3}) +
                            LayerText("Slice", {"a"}, {"x", "y", "z"}, "slice_param { slice_point: 1 slice_point: 3 }");
  CheckBlobGradients(slice + RowLoss("x") + RowLoss("z"));
  CheckBlobGradients(slice + RowLoss("y"));
}

TEST_CASE("layers in place below one that is in place too have the gradients that differences say") {
  const std::string above = R"(layer { name: "above" type: "TanH" bottom: "a" top: "a" })";
  for (const char* type :
       {"Bias", "BatchNorm", "Dropout", "Eltwise", "Flatten", "LRN", "MVN", "PReLU", "Scale", "Softmax"}) {
    const std::vector<std::string> bottoms =
        type == std::string("Eltwise") ? std::vector<std::string>{"a", "b"} : std::vector<std::string>{"a"};
    CheckBlobGradients(Learnt("a", {2, 5, 2, 3}) + (bottoms.size() > 1 ? Learnt("b", {2, 5, 2, 3}) : "") +
                       LayerText(type, bottoms, {"a"}, "") + above + RowLoss("a"));
  }
}

// Of a blob whose diff has the memory of another, which a pass before filled, these parts of it too.
TEST_CASE("what slice and crop do not read has a gradient of 0 in every pass") {
  const std::string blob = Learnt("a", {4, 6}) + R"(
      layer { name: "norm" type: "MVN" bottom: "a" top: "a" mvn_param { across_channels: true } })";
  CheckBlobGradients(blob + LayerText("Slice", {"a"}, {"x", "y"}, "slice_param { slice_point: 2 }") + RowLoss("y"));
  CheckBlobGradients(blob + Learnt("b", {4, 3}) +
                     LayerText("Crop", {"a", "b"}, {"x"}, "crop_param { axis: 1 offset: 2 }") + RowLoss("x"));
}

TEST_CASE("layers that sum over channels, planes or records compute the same bits with any number of threads") {
  const std::string blob = Learnt("a", {19, 5, 37, 41}) + Learnt("b", {19, 5, 37, 41});
  for (const std::string& layer :
       {LayerText("BatchNorm", {"a"}, {"x"}, ""), LayerText("Scale", {"a"}, {"x"}, "scale_param { bias_term: true }"),
        LayerText("Scale", {"a"}, {"x"}, "scale_param { axis: -1 bias_term: true }"),
        LayerText("Bias", {"a"}, {"x"}, ""), LayerText("LRN", {"a"}, {"x"}, "lrn_param { local_size: 3 }"),
        LayerText("LRN", {"a"}, {"x"}, "lrn_param { norm_region: WITHIN_CHANNEL }"),
        LayerText("Deconvolution", {"a"}, {"x"}, "convolution_param { num_output: 3 kernel_size: 3 stride: 2 }"),
        LayerText("Eltwise", {"a", "b"}, {"x"}, "eltwise_param { operation: MAX }"),
        LayerText("Concat", {"a", "b"}, {"x"}, ""), LayerText("Tile", {"a"}, {"x"}, "tile_param { tiles: 2 }"),
        LayerText("MVN", {"a"}, {"x"}, ""),
        LayerText("Reduction", {"a"}, {"x"}, "reduction_param { operation: SUMSQ axis: 1 }")}) {
    INFO(layer);
    auto compute = [&](ThreadPool* pool) {
      NetOptions options;
      options.pool = pool;
      std::unique_ptr<Net> net = MakeNet(blob + layer + RowLoss("x"), options);
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
