#include "tests/worker/nn/gradient_matrix.h"

#include "absl/strings/str_cat.h"

namespace samovar {
namespace {

using Fields = std::vector<std::string>;
using Bottoms = std::vector<MatrixBottom>;

// "name { field }" for each field.
Fields In(const std::string& name, const Fields& fields) {
  Fields texts;
  for (const std::string& field : fields) texts.push_back(absl::StrCat(name, " { ", field, " }"));
  return texts;
}

MatrixBottom Labels(const std::vector<int>& shape, int classes) { return {shape, MatrixBottom::kLabels, classes}; }
MatrixBottom Numbers(const std::vector<int>& shape) { return {shape, MatrixBottom::kNumbers}; }

// One learnt bottom, of each of the shapes.
std::vector<Bottoms> One(const std::vector<std::vector<int>>& shapes) {
  std::vector<Bottoms> all;
  for (const std::vector<int>& shape : shapes) all.push_back({{shape}});
  return all;
}

// Of layers to which the axes mean nothing.
const std::vector<Bottoms> kAny = One({{3, 4, 5}, {1, 7, 3, 2}, {13, 3}, {11}, {9, 2, 1, 5}});
const std::vector<Bottoms> kChannels = One({{3, 4, 5}, {1, 7, 3, 2}, {13, 3}, {9, 2, 1, 5}});
// More than one piece of records, and a plane larger than a tile of LRN.
const std::vector<Bottoms> kImages = One({{2, 7, 2, 3}, {1, 2, 3, 5}, {3, 1, 5, 4}, {9, 3, 3, 2}, {1, 2, 23, 25}});

}  // namespace

std::vector<MatrixRow> NeuronRows() {
  return {
      {.type = "AbsVal", .fields = {""}, .bottoms = kAny, .in_place = true},
      {.type = "BNLL", .fields = {""}, .bottoms = kAny, .in_place = true},
      {.type = "Clip",
       .fields = In("clip_param", {"min: -0.5 max: 0.5", "min: 0 max: 9"}),
       .bottoms = kAny,
       .in_place = true},
      {.type = "Dropout", .fields = {"", "dropout_param { dropout_ratio: 0.2 }"}, .bottoms = kAny, .in_place = true},
      {.type = "ELU", .fields = In("elu_param", {"", "alpha: 0.4", "alpha: -0.6"}), .bottoms = kAny, .in_place = true},
      {.type = "Exp",
       .fields = In("exp_param", {"", "base: 2 scale: -0.7 shift: 0.5", "shift: 1"}),
       .bottoms = kAny,
       .in_place = true},
      {.type = "Log",
       .fields = In("log_param", {"", "base: 3 scale: 1.5 shift: 2"}),
       .bottoms = kAny,
       .in_place = true,
       .middle = 2},
      {.type = "Power",
       .fields = In("power_param", {"", "power: 2 scale: 0.5 shift: 1", "power: -1.5 scale: 0.8 shift: 2",
                                    "power: 3 scale: -1.5", "scale: -1.5 shift: 0.25"}),
       .bottoms = kAny,
       .in_place = true},
      {.type = "PReLU",
       .fields = In("prelu_param", {"", "channel_shared: true"}),
       .bottoms = kChannels,
       .in_place = true},
      {.type = "ReLU",
       .fields = In("relu_param", {"", "negative_slope: 0.2", "negative_slope: -0.5"}),
       .bottoms = kAny,
       .in_place = true},
      {.type = "Sigmoid", .fields = {""}, .bottoms = kAny, .in_place = true, .reach = 3},
      {.type = "Swish", .fields = In("swish_param", {"", "beta: -2.5"}), .bottoms = kAny, .in_place = true},
      {.type = "TanH", .fields = {""}, .bottoms = kAny, .in_place = true},

      {.type = "BatchNorm",
       .fields = In("batch_norm_param", {"", "eps: 0.1", "use_global_stats: true"}),
       .bottoms = One({{3, 2, 3, 5}, {1, 3, 5, 7}, {7, 3}, {9}, {2, 3, 1, 17}}),
       .in_place = true},
      {.type = "LRN",
       .fields = In("lrn_param", {"", "local_size: 3 alpha: 2 k: 0.5", "beta: 0.5 alpha: 3", "beta: 1 local_size: 1",
                                  "beta: 1.3 alpha: 2", "norm_region: WITHIN_CHANNEL local_size: 3",
                                  "norm_region: WITHIN_CHANNEL alpha: 4 beta: 0.6"}),
       .bottoms = kImages,
       .in_place = true},
      {.type = "MVN",
       .fields = In("mvn_param", {"", "normalize_variance: false"}),
       .bottoms = One({{2, 3, 3, 3}, {3, 2, 11}, {1, 2, 5, 7}}),
       .in_place = true},
      {.type = "MVN",
       .fields = In("mvn_param", {"across_channels: true", "across_channels: true normalize_variance: false"}),
       .bottoms = One({{2, 3, 3, 3}, {3, 7}, {1, 2, 5, 7}}),
       .in_place = true},
      {.type = "Softmax",
       .fields = In("softmax_param", {"", "axis: -1"}),
       .bottoms = One({{3, 5}, {1, 3, 2, 3}, {2, 7, 2}, {17, 3}}),
       .in_place = true},
      {.type = "Softmax",
       .fields = In("softmax_param", {"axis: 0", "axis: 2"}),
       .bottoms = One({{3, 4, 5}, {2, 3, 7, 1}}),
       .in_place = true},

      {.type = "Bias",
       .fields = In("bias_param", {"", "axis: 0 num_axes: -1", "axis: 0", "axis: -1", "num_axes: 0"}),
       .bottoms = kChannels,
       .in_place = true},
      {.type = "Bias",
       .fields = {""},
       .bottoms = {{{{3, 4, 5}}, {{4}}}, {{{1, 7, 2}}, {{7, 2}}}, {{{9, 5}}, {{5}}}},
       .in_place = true},
      {.type = "Bias",
       .fields = In("bias_param", {"axis: 0"}),
       .bottoms = {{{{3, 4, 5}}, {{3, 4}}}, {{{7}}, {{7}}}},
       .in_place = true},
      {.type = "Scale",
       .fields = In("scale_param", {"", "bias_term: true", "axis: 0 num_axes: 2 bias_term: true", "num_axes: -1",
                                    "axis: -1 bias_term: true", "num_axes: 0 bias_term: true"}),
       .bottoms = kChannels,
       .in_place = true},
      {.type = "Scale",
       .fields = In("scale_param", {"", "bias_term: true"}),
       .bottoms = {{{{3, 4, 5}}, {{4}}}, {{{1, 7, 2}}, {{7, 2}}}, {{{9, 5}}, {{5}}}},
       .in_place = true},
      {.type = "Scale",
       .fields = In("scale_param", {"axis: 0", "axis: 0 bias_term: true"}),
       .bottoms = {{{{3, 4, 5}}, {{3, 4}}}, {{{7}}, {{7}}}},
       .in_place = true},
  };
}

std::vector<MatrixRow> ProductRows() {
  return {
      {.type = "Convolution",
       .fields = In("convolution_param",
                    {"num_output: 3 kernel_size: 3", "num_output: 5 kernel_size: 1",
                     "num_output: 3 kernel_size: 1 stride: 2 bias_term: false",
                     "num_output: 4 kernel_h: 2 kernel_w: 3 stride_h: 2 stride_w: 1 pad_h: 1 pad_w: 2 bias_term: false",
                     "num_output: 2 kernel_size: 2 kernel_size: 1 dilation: 2 dilation: 1 pad: 1 stride: 3"}),
       .bottoms = One({{3, 2, 5, 4}, {1, 3, 7, 5}, {2, 1, 3, 11}, {9, 2, 3, 3}})},
      {.type = "Convolution",
       .fields = In("convolution_param", {"num_output: 6 group: 2 kernel_size: 2 stride: 2 dilation: 2 pad: 1",
                                          "num_output: 4 group: 4 kernel_size: 3 pad: 1",
                                          "num_output: 2 group: 2 kernel_size: 1 stride: 2"}),
       .bottoms = One({{2, 4, 3, 5}, {1, 8, 3, 3}, {1, 4, 7, 1}, {9, 4, 2, 2}})},
      // One place, whole packets of outputs and not.
      {.type = "Convolution",
       .fields = In("convolution_param",
                    {"num_output: 17 kernel_size: 1", "num_output: 2 kernel_size: 1 bias_term: false",
                     "num_output: 3 kernel_size: 1 stride: 2", "num_output: 3 kernel_size: 1 stride: 3 pad: 1"}),
       .bottoms = One({{2, 1, 4, 8}, {1, 3, 4, 4}, {7, 1, 4, 4}, {1, 17, 2, 8}, {1, 2, 7, 8}})},
      // Depthwise, and groups of few channels: pads larger than kernels, strides larger than kernels, dilation.
      {.type = "Convolution",
       .fields =
           In("convolution_param", {"num_output: 6 group: 6 kernel_size: 3 pad: 1",
                                    "num_output: 12 group: 6 kernel_size: 3 stride: 2 pad: 1",
                                    "num_output: 6 group: 6 kernel_size: 2 stride: 3 pad: 3 bias_term: false",
                                    "num_output: 3 group: 3 kernel_size: 3 dilation: 2 pad: 2",
                                    "num_output: 4 group: 2 kernel_size: 2 stride: 3",
                                    "num_output: 9 group: 3 kernel_h: 1 kernel_w: 3 stride_h: 2 stride_w: 1 dilation: "
                                    "1 dilation: 3 pad_h: 0 pad_w: 4",
                                    "num_output: 6 group: 2 kernel_h: 2 kernel_w: 4 stride_h: 2 stride_w: 2 pad_h: 1 "
                                    "pad_w: 1 dilation: 3 dilation: 1"}),
       .bottoms = One({{1, 6, 8, 3}, {7, 6, 2, 5}, {1, 6, 9, 7}})},
      {.type = "Deconvolution",
       .fields = In(
           "convolution_param",
           {"num_output: 3 kernel_size: 3", "num_output: 5 kernel_size: 1",
            "num_output: 4 kernel_size: 2 stride: 2 pad: 1 group: 2",
            "num_output: 2 kernel_h: 3 kernel_w: 2 stride_h: 1 stride_w: 3 dilation: 2 dilation: 1 bias_term: false"}),
       .bottoms = One({{2, 2, 3, 4}, {1, 4, 2, 5}, {9, 2, 3, 2}})},
      {.type = "Embed",
       .fields = In("embed_param", {"input_dim: 4 num_output: 3", "input_dim: 5 num_output: 1 bias_term: false"}),
       .bottoms = {{Labels({2, 5}, 4)}, {Labels({1, 7}, 4)}, {Labels({11}, 4)}}},
      {.type = "InnerProduct",
       .fields = In("inner_product_param", {"num_output: 3", "num_output: 2 axis: -1 bias_term: false",
                                            "num_output: 4 transpose: true axis: 0"}),
       .bottoms = One({{3, 7}, {1, 2, 3, 5}, {11, 5}, {2, 3, 1, 4}})},
      {.type = "InnerProduct",
       .fields = In("inner_product_param", {"num_output: 5 axis: 2", "num_output: 1 axis: 2 transpose: true"}),
       .bottoms = One({{2, 3, 7}, {1, 5, 2, 3}})},
      {.type = "Parameter",
       .fields = In("parameter_param", {"shape { dim: 7 }", "shape { dim: 1 dim: 3 dim: 5 }"}),
       .bottoms = {{}}},
      {.type = "Pooling",
       .fields = In("pooling_param",
                    {"kernel_size: 3 stride: 2", "kernel_size: 2 stride: 2", "kernel_size: 3 stride: 2 pad: 1",
                     "kernel_h: 3 kernel_w: 2 stride_h: 1 stride_w: 2 pad_h: 1 pad_w: 0",
                     "kernel_size: 2 stride: 2 round_mode: FLOOR"}),
       .bottoms = One({{2, 3, 4, 5}, {1, 2, 7, 5}, {3, 1, 3, 5}, {9, 3, 2, 3}})},
      {.type = "Pooling",
       .fields = In("pooling_param", {"pool: AVE kernel_size: 3 stride: 2", "pool: AVE kernel_size: 2 stride: 2",
                                      "pool: AVE kernel_size: 3 stride: 2 pad: 1",
                                      "pool: AVE kernel_h: 3 kernel_w: 2 stride_h: 1 stride_w: 2 pad_h: 1 pad_w: 0",
                                      "pool: AVE kernel_size: 2 stride: 2 round_mode: FLOOR"}),
       .bottoms = One({{2, 3, 4, 5}, {1, 2, 7, 5}, {3, 1, 3, 5}, {9, 3, 2, 3}})},
      {.type = "Pooling",
       .fields = In("pooling_param", {"global_pooling: true", "pool: AVE global_pooling: true"}),
       .bottoms = One({{2, 3, 3, 2}, {1, 2, 1, 5}, {9, 3, 1, 3}})},
      {.type = "Pooling",
       .fields = {"pooling_param { kernel_size: 2 }"},
       .bottoms = One({{2, 3, 4, 5}}),
       .tops = 2,
       .losses = 1},
  };
}

std::vector<MatrixRow> ShapeRows() {
  const Bottoms three = {{{3, 2, 5}}, {{3, 2, 5}}, {{3, 2, 5}}};
  return {
      {.type = "Concat",
       .fields = {"", "concat_param { axis: -2 }"},
       .bottoms = {{{{2, 3, 4}}, {{2, 1, 4}}, {{2, 2, 4}}}, {{{1, 7, 3}}, {{1, 2, 3}}}, {{{5, 3, 2}}}}},
      {.type = "Concat", .fields = {"concat_param { axis: 0 }"}, .bottoms = {{{{2, 3}}, {{5, 3}}}, {{{1}}, {{7}}}}},
      {.type = "Crop",
       .fields = In("crop_param", {"", "offset: 1", "axis: 1 offset: 0 offset: 2 offset: 1", "axis: -1 offset: 2"}),
       .bottoms = {{{{2, 3, 5, 4}}, {{2, 3, 3, 2}}}, {{{1, 7, 5, 3}}, {{1, 7, 3, 1}}}}},
      {.type = "Crop",
       .fields = In("crop_param", {"axis: 0 offset: 1"}),
       .bottoms = {{{{5, 3}}, {{2, 2}}}, {{{7}}, {{3}}}}},
      {.type = "Eltwise",
       .fields = In("eltwise_param", {"", "coeff: 0.5 coeff: -2", "operation: PROD",
                                      "operation: PROD stable_prod_grad: false", "operation: MAX"}),
       .bottoms = {{{{3, 5, 4}}, {{3, 5, 4}}}, {{{1, 7, 3, 2}}, {{1, 7, 3, 2}}}, {{{11}}, {{11}}}},
       .in_place = true},
      {.type = "Eltwise",
       .fields = In("eltwise_param", {"", "coeff: 0.5 coeff: -2 coeff: 1.5", "operation: PROD", "operation: MAX"}),
       .bottoms = {three},
       .in_place = true},
      {.type = "Flatten",
       .fields = In("flatten_param", {"", "axis: 0", "axis: -2 end_axis: -1"}),
       .bottoms = One({{2, 3, 5}, {1, 7, 2, 3}, {11, 1}})},
      {.type = "Reduction",
       .fields = In("reduction_param", {"operation: SUM axis: 1 coeff: 2.5", "operation: ASUM axis: -1",
                                        "operation: SUMSQ axis: 1 coeff: -0.5", "operation: MEAN axis: -1 coeff: 3"}),
       .bottoms = One({{3, 4, 5}, {1, 7}, {13, 1, 3}})},
      {.type = "Reduction",
       .fields = In("loss_weight: 0.5 reduction_param", {"operation: SUM coeff: -3", "operation: ASUM",
                                                         "operation: SUMSQ coeff: 2", "operation: MEAN coeff: 9"}),
       .bottoms = One({{3, 5}, {1, 7, 2}, {11}})},
      {.type = "Reshape",
       .fields = In("reshape_param",
                    {"shape { dim: 0 dim: -1 }", "axis: 1 shape { dim: 1 dim: -1 }", "axis: -1 shape { dim: 1 }"}),
       .bottoms = One({{2, 3, 5}, {1, 7, 2, 3}, {11, 1}})},
      {.type = "Reshape",
       .fields = {"reshape_param { shape { dim: 0 dim: 0 } }"},
       .bottoms = One({{2, 3}, {1, 7}, {13, 5}}),
       .in_place = true},
      {.type = "Slice",
       .fields = In("slice_param", {"", "slice_point: 1 slice_point: 5"}),
       .bottoms = One({{2, 6, 3}, {1, 6}, {13, 6, 1}}),
       .tops = 3},
      {.type = "Slice",
       .fields = In("slice_param", {"axis: -1 slice_point: 1", "axis: 0 slice_point: 1"}),
       .bottoms = One({{2, 3, 4}, {7, 5}}),
       .tops = 2},
      {.type = "Slice",
       .fields = In("slice_param", {"slice_point: 2"}),
       .bottoms = One({{2, 6, 3}, {1, 7}}),
       .tops = 2,
       .losses = 1},
      {.type = "Slice", .fields = {""}, .bottoms = One({{3, 5}})},
      {.type = "Split", .fields = {""}, .bottoms = kAny, .tops = 3},
      {.type = "Split", .fields = {""}, .bottoms = One({{3, 5}}), .tops = 3, .losses = 2},
      {.type = "Tile",
       .fields = In("tile_param", {"tiles: 3", "axis: 0 tiles: 2", "axis: -1 tiles: 5", "tiles: 1"}),
       .bottoms = One({{2, 3, 5}, {4, 1}, {1, 7}})},
  };
}

std::vector<MatrixRow> LossRows() {
  const Fields normalizations = {"loss_weight: 2",
                                 "loss_weight: 2 loss_param { normalization: FULL }",
                                 "loss_weight: 2 loss_param { normalization: VALID ignore_label: 1 }",
                                 "loss_weight: 2 loss_param { normalization: BATCH_SIZE ignore_label: 0 }",
                                 "loss_weight: 0.3 loss_param { normalization: NONE ignore_label: 1 }",
                                 "loss_weight: 2 loss_param { normalize: true ignore_label: 0 }",
                                 "loss_param { normalize: false }"};
  const MatrixBottom matrix = Numbers({5, 5});
  return {
      {.type = "ContrastiveLoss",
       .fields = In("contrastive_loss_param", {"", "margin: 2.5", "margin: 3 legacy_version: true"}),
       .bottoms = {{{{5, 3}}, {{5, 3}}, Labels({5}, 2)}, {{{13, 2, 1, 1}}, {{13, 2, 1, 1}}, Labels({13, 1}, 2)}}},
      {.type = "ContrastiveLoss",
       .fields = In("contrastive_loss_param", {"margin: 4", "margin: 9 legacy_version: true"}),
       .bottoms = {{{{1, 7}}, {{1, 7}}, Labels({1}, 2)}}},
      {.type = "EuclideanLoss",
       .fields = {"", "loss_weight: -0.5"},
       .bottoms = {{{{3, 5}}, {{3, 5}}},
                   {{{1, 7}}, {{1, 7}}},
                   {{{2, 3, 1, 4}}, {{2, 12}}},
                   {{{11, 2}}, Numbers({11, 2})},
                   {Numbers({7, 3}), {{7, 3}}}}},
      {.type = "HingeLoss",
       .fields = {"", "hinge_loss_param { norm: L2 } loss_weight: 0.3"},
       .bottoms = {{{{5, 3}}, Labels({5}, 3)},
                   {{{1, 7}}, Labels({1}, 7)},
                   {{{2, 3, 1, 2}}, Labels({2, 1}, 6)},
                   {{{19, 2}}, Labels({19}, 2)}},
       .reach = 3},
      {.type = "InfogainLoss",
       .fields = normalizations,
       .bottoms = {{{{3, 5}}, Labels({3}, 5), matrix},
                   {{{1, 5, 3}}, Labels({1, 3}, 5), matrix},
                   {{{2, 5, 1, 4}}, Labels({2, 4}, 5), Numbers({1, 1, 5, 5})}}},
      {.type = "InfogainLoss",
       .fields = In("infogain_loss_param", {"axis: 2", "axis: -1"}),
       .bottoms = {{{{2, 3, 5}}, Labels({2, 3}, 5), matrix}}},
      {.type = "InfogainLoss",
       .fields = {"infogain_loss_param { axis: 0 } loss_weight: 2 loss_weight: 0"},
       .bottoms = {{{{5, 7}}, Labels({7}, 5), matrix}},
       .tops = 2},
      {.type = "MultinomialLogisticLoss",
       .fields = {"", "loss_weight: 0.3"},
       .bottoms = {{{{5, 3}}, Labels({5}, 3)}, {{{1, 7}}, Labels({1}, 7)}, {{{2, 3, 1, 2}}, Labels({2, 1}, 6)}},
       .middle = 0.6,
       .reach = 0.4},
      {.type = "SigmoidCrossEntropyLoss",
       .fields = normalizations,
       .bottoms = {{{{3, 5}}, Labels({3, 5}, 2)}, {{{1, 7}}, Labels({1, 7}, 2)}, {{{2, 3, 2, 2}}, Labels({2, 12}, 2)}}},
      {.type = "SigmoidCrossEntropyLoss",
       .fields = {"loss_weight: 2", "loss_weight: 3 loss_param { normalization: VALID }"},
       .bottoms = {{{{13, 2}}, Numbers({13, 2})}}},
      {.type = "SoftmaxWithLoss",
       .fields = normalizations,
       .bottoms = {{{{5, 3}}, Labels({5}, 3)},
                   {{{1, 5}}, Labels({1}, 5)},
                   {{{2, 5, 3}}, Labels({2, 3}, 5)},
                   {{{3, 7, 2, 1}}, Labels({3, 1, 2, 1}, 7)}}},
      {.type = "SoftmaxWithLoss",
       .fields = In("softmax_param", {"axis: 2", "axis: -1"}),
       .bottoms = {{{{2, 3, 5}}, Labels({2, 3}, 5)}}},
      {.type = "SoftmaxWithLoss",
       .fields = {"softmax_param { axis: 0 } loss_weight: 2 loss_weight: 0"},
       .bottoms = {{{{3, 7}}, Labels({7}, 3)}},
       .tops = 2},
  };
}

}  // namespace samovar
