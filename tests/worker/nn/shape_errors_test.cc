// Layers that normalise, join, cut and rearrange, refused, and what the refusal says.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/worker/nn/input_net.h"

namespace samovar {
namespace {

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kNotOffered = absl::StatusCode::kUnimplemented;

// A layer "l" on blobs "a" [2, 3, 4, 5] and, if it has two bottoms, "b" of the given shape.
absl::Status Create(const std::string& type, const std::string& fields, const std::vector<int>& second = {},
                    int tops = 1) {
  std::vector<Given> inputs = {{"a", {2, 3, 4, 5}, {}}};
  std::string text = absl::StrCat("layer { name: \"l\" type: \"", type, "\" bottom: \"a\" ");
  if (!second.empty()) {
    inputs.push_back({"b", second, {}});
    text += "bottom: \"b\" ";
  }
  for (int i = 0; i < tops; ++i) absl::StrAppend(&text, "top: \"x", i, "\" ");
  return StatusOfNet(inputs, absl::StrCat(text, fields, " }"));
}

TEST_CASE("batch norm's refusals name the field") {
  REQUIRE_STATUS(Create("BatchNorm", "batch_norm_param { moving_average_fraction: 1.5 }"), kInvalid,
                 "layer \"l\" (BatchNorm), bottom \"a\" [2, 3, 4, 5]: batch_norm_param.moving_average_fraction is 1.5; "
                 "give 0 to 1");
  REQUIRE_STATUS(Create("BatchNorm", "batch_norm_param { eps: nan }"), kInvalid, "eps is nan; give 0 or more");
  REQUIRE_STATUS(Create("BatchNorm", "param { lr_mult: 1 }"), kInvalid,
                 "lr_mult is 1, but these parameters are measured");
  REQUIRE_OK(Create("BatchNorm", "param { lr_mult: 0 } param { lr_mult: 0 decay_mult: 0 } param { }"));
}

TEST_CASE("scale's and bias's refusals say which shape fits") {
  REQUIRE_STATUS(Create("Scale", "scale_param { axis: 4 }"), kInvalid, "axis 4 is outside of shape");
  REQUIRE_STATUS(Create("Scale", "scale_param { axis: 3 num_axes: 2 }"), kInvalid,
                 "scale_param.num_axes is 2, but 1 axes are left from axis 3 on");
  REQUIRE_STATUS(Create("Scale", "scale_param { num_axes: -2 }"), kInvalid,
                 "scale_param.num_axes is -2; give 0 or more");
  REQUIRE_STATUS(Create("Bias", "", {4}), kInvalid,
                 "the second bottom must have the shape [3] that the first has from axis 1 on; set bias_param.axis");
  REQUIRE_STATUS(Create("Scale", "", {3, 4, 5, 6}), kInvalid, "the second bottom has 4, but 3 axes are left");
}

TEST_CASE("normalisation's refusals say what to give") {
  REQUIRE_STATUS(Create("LRN", "lrn_param { local_size: 4 }"), kInvalid,
                 "lrn_param.local_size is 4; give an odd number");
  REQUIRE_STATUS(Create("LRN", "lrn_param { local_size: 0 }"), kInvalid, "local_size is 0");
  REQUIRE_STATUS(Create("LRN", "lrn_param { alpha: nan }"), kInvalid, "lrn_param: alpha, beta and k must be finite");
  REQUIRE_STATUS(Create("LRN", "lrn_param { norm_region: WITHIN_CHANNEL k: 2 }"), kInvalid,
                 "lrn_param.k is for norm_region ACROSS_CHANNELS");
  REQUIRE_STATUS(Create("LRN", "lrn_param { engine: CUDNN }"), kNotOffered, "lrn_param.engine CUDNN");
  REQUIRE_STATUS(StatusOfNet({{"a", {2, 3}, {}}}, R"(layer { name: "l" type: "LRN" bottom: "a" top: "x" })"), kInvalid,
                 "a bottom of 4 axes");
  REQUIRE_STATUS(StatusOfNet({{"a", {2}, {}}}, R"(layer { name: "l" type: "MVN" bottom: "a" top: "x" })"), kInvalid,
                 "axes for records and channels");
  REQUIRE_STATUS(Create("MVN", "mvn_param { eps: -1 }"), kInvalid, "mvn_param.eps is -1; give 0 or more");
}

TEST_CASE("deconvolution reads its fields as convolution does") {
  REQUIRE_STATUS(Create("Deconvolution", "convolution_param { num_output: 2 kernel_size: 2 pad: 9 }"), kInvalid,
                 "convolution_param.pad 9 leaves nothing of an output of 5 from an input of 4");
  REQUIRE_STATUS(Create("Deconvolution", "convolution_param { num_output: 2 kernel_size: 2 group: 2 }"), kInvalid,
                 "group 2 must divide the 3 input channels");
  REQUIRE_STATUS(Create("Deconvolution", "convolution_param { kernel_size: 2 }"), kInvalid, "num_output is missing");
  REQUIRE_STATUS(Create("Deconvolution", "convolution_param { num_output: 2 kernel_size: 3 dilation: 4000000000 }"),
                 kInvalid, "dilation 4000000000; give at most 16777216");
  REQUIRE_STATUS(
      Create("Convolution", "convolution_param { num_output: 2 kernel_size: 4000000000 dilation: 4000000000 }"),
      kInvalid, "give at most 16777216");
  REQUIRE_STATUS(Create("Deconvolution", "convolution_param { num_output: 2 kernel_size: 3 stride: 16000000 }"),
                 kInvalid, "more than 2^31 - 1 values");
}

TEST_CASE("eltwise, concat and crop name the shapes that do not fit") {
  REQUIRE_STATUS(Create("Eltwise", "", {2, 3, 4, 6}), kInvalid,
                 "the bottoms have shapes [2, 3, 4, 5] and [2, 3, 4, 6], but must have the same");
  REQUIRE_STATUS(Create("Eltwise", ""), kInvalid, "it has 1 bottoms and needs 2 or more");
  REQUIRE_STATUS(Create("Eltwise", "eltwise_param { coeff: 1 }", {2, 3, 4, 5}), kInvalid,
                 "eltwise_param.coeff has 1 entries for 2 bottoms");
  REQUIRE_STATUS(Create("Eltwise", "eltwise_param { operation: PROD coeff: 1 coeff: 1 }", {2, 3, 4, 5}), kInvalid,
                 "coeff is for operation SUM; remove it");
  REQUIRE_STATUS(Create("Eltwise", "eltwise_param { coeff: 1 coeff: inf }", {2, 3, 4, 5}), kInvalid,
                 "eltwise_param.coeff must be finite");
  REQUIRE_STATUS(Create("Concat", "", {2, 3, 4, 6}), kInvalid,
                 "[2, 3, 4, 5] and [2, 3, 4, 6], which may differ along axis 1 only");
  REQUIRE_STATUS(Create("Concat", "", {2, 3, 4}), kInvalid, "which may differ along axis 1 only");
  REQUIRE_STATUS(Create("Concat", "concat_param { concat_dim: 4 }", {2, 3, 4, 5}), kInvalid, "concat_dim 4 is outside");
  REQUIRE_STATUS(Create("Concat", "concat_param { concat_dim: 1 axis: 1 }", {2, 3, 4, 5}), kInvalid,
                 "remove concat_dim");
  REQUIRE_STATUS(Create("Crop", "", {2, 3, 4}), kInvalid, "the second bottom has 3 axes, but must have the first's 4");
  REQUIRE_STATUS(Create("Crop", "crop_param { offset: 1 }", {2, 3, 4, 4}), kInvalid,
                 "crop_param.offset 1 and the second bottom's 4 along axis 2 reach beyond the first's 4");
  REQUIRE_STATUS(Create("Crop", "crop_param { offset: 4294967295 }", {2, 3, 4, 4}), kInvalid, "reach beyond");
  REQUIRE_STATUS(Create("Crop", "crop_param { offset: 1 offset: 1 offset: 1 }", {2, 3, 2, 2}), kInvalid,
                 "offset has 3 entries for the 2 axes");
}

TEST_CASE("slice's refusals say where it can be cut") {
  REQUIRE_STATUS(Create("Slice", "", {}, 2), kInvalid,
                 "an axis of 3 cannot be cut into 2 equal parts; give slice_param.slice_point");
  REQUIRE_STATUS(Create("Slice", "slice_param { slice_point: 1 }", {}, 3), kInvalid,
                 "slice_point has 1 entries for 3 tops");
  REQUIRE_STATUS(Create("Slice", "slice_param { slice_point: 2 slice_point: 2 }", {}, 3), kInvalid,
                 "slice_point 2 follows 2 on an axis of 3");
  REQUIRE_STATUS(Create("Slice", "slice_param { slice_point: 3 }", {}, 2), kInvalid, "give rising numbers from 1 to 2");
  REQUIRE_STATUS(Create("Slice", "slice_param { slice_dim: 1 axis: 1 }", {}, 3), kInvalid, "remove slice_dim");
}

TEST_CASE("flatten's, reshape's, tile's and reduction's refusals name the field") {
  REQUIRE_STATUS(Create("Flatten", "flatten_param { axis: 2 end_axis: 1 }"), kInvalid,
                 "flatten_param.axis 2 comes after end_axis 1");
  REQUIRE_STATUS(Create("Flatten", "flatten_param { axis: 4 }"), kInvalid, "axis 4 is outside of shape");
  auto reshape = [](const std::string& fields) { return Create("Reshape", "reshape_param { " + fields + " }"); };
  REQUIRE_STATUS(reshape("shape { dim: 7 dim: -1 }"), kInvalid,
                 "of product 7, which does not divide the bottom's 120 values");
  REQUIRE_STATUS(reshape("shape { dim: 7 }"), kInvalid, "makes 7 values of the bottom's 120");
  REQUIRE_STATUS(reshape("shape { dim: -1 dim: -1 }"), kInvalid, "two dims of -1");
  REQUIRE_STATUS(reshape("shape { dim: -2 }"), kInvalid, "dim -2");
  REQUIRE_STATUS(reshape("shape { dim: 1 dim: 1 dim: 1 dim: 1 dim: 0 }"), kInvalid, "the bottom has no axis 4 to copy");
  REQUIRE_STATUS(reshape("axis: 5"), kInvalid, "reshape_param.axis 5 is outside");
  REQUIRE_STATUS(reshape("axis: -6"), kInvalid, "reshape_param.axis -6 is outside");
  REQUIRE_STATUS(reshape("axis: 1 num_axes: 4"), kInvalid, "num_axes is 4, but 3 axes are left from axis 1 on");
  REQUIRE_STATUS(reshape("axis: 1 num_axes: -2"), kInvalid, "num_axes is -2");
  REQUIRE_STATUS(reshape("shape { dim: 9223372036854775807 dim: 9223372036854775807 }"), kInvalid,
                 "reshape_param.shape");
  REQUIRE_STATUS(Create("Tile", ""), kInvalid, "tile_param.tiles is missing");
  REQUIRE_STATUS(Create("Tile", "tile_param { tiles: 2000000000 }"), kInvalid, "tile_param.tiles");
  REQUIRE_STATUS(Create("Reduction", "reduction_param { axis: -5 }"), kInvalid, "axis -5 is outside");
  REQUIRE_STATUS(Create("Reduction", "reduction_param { coeff: nan }"), kInvalid,
                 "reduction_param.coeff must be finite");
}

TEST_CASE("an input's refusal names the field") {
  auto input = [](const std::string& shape) {
    return StatusOfNet({}, R"(layer { name: "l" type: "Input" top: "x" input_param { )" + shape + " } }");
  };
  REQUIRE_STATUS(input("shape { dim: 2 dim: 0 }"), kInvalid,
                 "layer \"l\" (Input): input_param.shape: shape [2, 0] is not positive");
  REQUIRE_STATUS(input("shape { dim: -3 }"), kInvalid, "input_param.shape: shape [-3]");
  REQUIRE_STATUS(input("shape { dim: 65536 dim: 65536 }"), kInvalid,
                 "input_param.shape: shape [65536, 65536] has more than 2^31 - 1");
  REQUIRE_STATUS(input(""), kInvalid, "input_param.shape is given 0 times");
}

TEST_CASE("parameter's and embed's refusals name the field") {
  auto parameter = [](const std::string& shape) {
    return StatusOfNet({}, R"(layer { name: "l" type: "Parameter" top: "x" parameter_param { )" + shape + " } }");
  };
  REQUIRE_STATUS(parameter(""), kInvalid, "parameter_param.shape is missing");
  REQUIRE_STATUS(parameter("shape { dim: 0 }"), kInvalid, "parameter_param.shape: shape [0] is not positive");
  REQUIRE_STATUS(Create("Embed", "embed_param { input_dim: 3 }"), kInvalid, "embed_param.num_output is missing");
  REQUIRE_STATUS(Create("Embed", "embed_param { num_output: 3 }"), kInvalid,
                 "embed_param.input_dim is 0; give 1 to 16777216");
}

}  // namespace
}  // namespace samovar
