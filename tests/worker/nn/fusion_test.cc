// Layers that do the work of those above them: nobody sees the difference.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/model/layout.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/worker/nn/fusion_check.h"
#include "tests/worker/nn/test_net.h"
#include "worker/nn/net.h"

namespace samovar {
namespace {

constexpr char kRelu[] = R"(layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" })";

std::string Conv(const std::string& fields) {
  return absl::StrCat(
      "layer { name: \"conv\" type: \"Convolution\" bottom: \"below\" top: \"conv\" convolution_param { ", fields,
      " } }");
}
std::string Relu(const std::string& bottom, const std::string& top, const std::string& fields = "") {
  return absl::StrCat("layer { name: \"", top, "_relu\" type: \"ReLU\" bottom: \"", bottom, "\" top: \"", top,
                      "\" relu_param { ", fields, " } }");
}
std::string Pool(const std::string& bottom, const std::string& top, const std::string& fields,
                 const std::string& more = "") {
  return absl::StrCat("layer { name: \"pool\" type: \"Pooling\" bottom: \"", bottom, "\" top: \"", top, "\" ", more,
                      " pooling_param { ", fields, " } }");
}

std::vector<std::string> Absorbed(const std::string& text, const NetOptions& options = Small()) {
  const absl::StatusOr<std::unique_ptr<Net>> net = Net::Create(NetFromText(text), options);
  REQUIRE_OK(net);
  std::vector<std::string> names;
  for (size_t i = 0; i < (*net)->layers(); ++i) {
    if ((*net)->computed_by(i) != i) names.push_back((*net)->layer(i).name());
  }
  return names;
}

using Names = std::vector<std::string>;

TEST_CASE("a convolution absorbs a ReLU, a pool, or both in either order") {
  const std::string conv = Conv("num_output: 5 kernel_size: 3");
  const std::string fields = "kernel_size: 2 stride: 2";
  CHECK(Absorbed(NetText(2, conv + kRelu, "conv")) == Names{"relu"});
  CHECK(Absorbed(NetText(2, conv + Pool("conv", "p", fields), "p")) == Names{"pool"});
  CHECK(Absorbed(NetText(2, conv + kRelu + Pool("conv", "p", fields), "p")) == Names{"relu", "pool"});
  CHECK(Absorbed(NetText(2, conv + Pool("conv", "p", fields) + Relu("p", "p"), "p")) == Names{"pool", "p_relu"});
  CHECK(Absorbed(NetText(2, conv + kRelu + Pool("conv", "p", fields) + Relu("p", "q"), "q")) == Names{"relu", "pool"});
}

TEST_CASE("what others read, or what computes something else, is not absorbed") {
  const std::string conv = Conv("num_output: 5 kernel_size: 3");
  const std::string pool = Pool("r", "p", "kernel_size: 2 stride: 2");
  const std::string reader = R"(layer { name: "reader" type: "Power" bottom: "conv" top: "read" })";
  CHECK(Absorbed(NetText(2, conv + reader + Relu("conv", "r") + pool, "p")).empty());
  const std::string relu_reader = R"(layer { name: "reader" type: "Power" bottom: "r" top: "read" })";
  CHECK(Absorbed(NetText(2, conv + Relu("conv", "r") + relu_reader + pool, "p")) == Names{"r_relu"});
  CHECK(Absorbed(NetText(2, conv + Relu("conv", "r", "negative_slope: 0.1") + pool, "p")).empty());
  CHECK(Absorbed(NetText(2, conv + Relu("conv", "r") + Pool("r", "p", "kernel_size: 2", "top: \"at\""), "p")) ==
        Names{"r_relu"});
  CHECK(Absorbed(NetText(2,
                         "layer { name: \"conv\" type: \"Convolution\" bottom: \"below\" top: \"conv\" loss_weight: 1 "
                         "convolution_param { num_output: 5 kernel_size: 3 } }" +
                             Relu("conv", "r") + pool,
                         "p"))
            .empty());
}

// BatchNorm, Scale and ReLU over "below", which make "last"; in place or not.
std::string Norm(bool in_place, const std::string& norm, const std::string& scale, bool relu) {
  const std::string top = in_place ? "n" : "y";
  std::string layers = Conv("num_output: 6 kernel_size: 3") + R"(
      layer { name: "shift" type: "Power" bottom: "conv" top: "n" power_param { shift: 0.3 } }
      layer { name: "norm" type: "BatchNorm" bottom: "n" top: ")" +
                       top + "\" batch_norm_param { " + norm + " } }";
  std::string last = top;
  if (!scale.empty()) {
    const std::string scaled = in_place ? last : "s";
    absl::StrAppend(&layers, "layer { name: \"factors\" type: \"Scale\" bottom: \"", last, "\" top: \"", scaled,
                    "\" scale_param { ", scale, " } }");
    last = scaled;
  }
  if (relu) {
    const std::string rectified = in_place ? last : "r";
    absl::StrAppend(&layers, "layer { name: \"relu\" type: \"ReLU\" bottom: \"", last, "\" top: \"", rectified, "\" }");
    last = rectified;
  }
  return absl::StrCat(layers, "layer { name: \"end\" type: \"Power\" bottom: \"", last, "\" top: \"last\" }");
}

TEST_CASE("a BatchNorm does what the Scale and the ReLU above it would do") {
  const bool in_place = GENERATE(true, false);
  const std::string norm = GENERATE(as<std::string>(), "", "use_global_stats: true", "eps: 0.1");
  const int batch = GENERATE(1, 7);
  for (const std::string scale : {"", "bias_term: true", "bias_term: false", "axis: -3 bias_term: true"}) {
    for (const bool relu : {true, false}) {
      const std::string text = NetText(batch, Norm(in_place, norm, scale, relu), "last");
      INFO(text);
      CheckFusion(text, Small(), DifferenceOfAll);
      Names absorbed;
      if (!scale.empty()) absorbed.push_back("factors");
      if (relu) absorbed.push_back("relu");
      // Its values would be overwritten in place, which its backward pass reads again.
      if (in_place && absl::StrContains(norm, "use_global_stats") && scale.empty()) absorbed.clear();
      CHECK(Absorbed(text) == absorbed);
    }
  }
}

// Through two BatchNorms gradients are differences of nearly equal sums, twice, of values that were rounded otherwise.
constexpr double kThroughTwo = 3e-5;

// "below", a convolution, BatchNorm, Scale and ReLU, a second convolution and another BatchNorm, which make "last".
std::string NormBetween(bool in_place, const std::string& first, const std::string& second, const std::string& norm) {
  const auto norm_of = [&](const std::string& bottom, const std::string& name, bool relu) {
    const std::string scaled = in_place ? bottom : name + "_s", top = relu && !in_place ? name + "_r" : scaled;
    std::string layers =
        absl::StrCat("layer { name: \"", name, "\" type: \"BatchNorm\" bottom: \"", bottom, "\" top: \"",
                     in_place ? bottom : name + "_n", "\" batch_norm_param { ", norm, " } }", "layer { name: \"", name,
                     "_scale\" type: \"Scale\" bottom: \"", in_place ? bottom : name + "_n", "\" top: \"", scaled,
                     "\" scale_param { bias_term: true } }");
    if (relu) absl::StrAppend(&layers, Relu(scaled, top));
    return std::make_pair(layers, top);
  };
  const auto [layers, between] = norm_of("conv", "norm", true);
  const auto [more, top] = norm_of("again", "last_norm", false);
  return absl::StrCat(Conv(first), layers, "layer { name: \"again\" type: \"Convolution\" bottom: \"", between,
                      "\" top: \"again\" convolution_param { ", second, " } }", more,
                      "layer { name: \"end\" type: \"Power\" bottom: \"", top, "\" top: \"last\" }");
}

TEST_CASE("convolutions around a BatchNorm do its passes over memory") {
  const bool in_place = GENERATE(true, false);
  const std::string norm = GENERATE(as<std::string>(), "", "use_global_stats: true");
  const std::string convolutions = GENERATE(
      as<std::string>(), "num_output: 16 kernel_size: 3 pad: 1", "num_output: 17 kernel_size: 1",
      "num_output: 18 kernel_size: 3 stride: 2 group: 3", "num_output: 32 kernel_size: 1 stride: 2 bias_term: false");
  const std::string second = GENERATE(as<std::string>(), "num_output: 32 kernel_size: 3 pad: 1",
                                      "num_output: 33 kernel_size: 1", "num_output: 5 kernel_size: 2 stride: 3 pad: 1");
  const int batch = GENERATE(1, 7, 17);
  const std::string text = NetText(batch, NormBetween(in_place, convolutions, second, norm), "last");
  INFO(text);
  CheckFusion(text, Small(), DifferenceOfAll, kThroughTwo);
}

TEST_CASE("depthwise convolutions around a BatchNorm do its passes over memory") {
  const std::string first = "num_output: 16 kernel_size: 1";
  const std::string second = GENERATE(as<std::string>(), "num_output: 16 kernel_size: 3 pad: 1 group: 16",
                                      "num_output: 32 kernel_size: 3 pad: 1 group: 16 stride: 2",
                                      "num_output: 16 kernel_size: 4 pad: 2 group: 16 stride: 2");
  for (const int size : {5, 12, 33}) {
    INFO(second << ", " << size);
    CheckFusion(NetText(3, NormBetween(true, first, second, ""), "last"), ImageOptions(caffe::TRAIN, 3, size, size + 1),
                DifferenceOfAll, kThroughTwo);
  }
}

TEST_CASE("a BatchNorm below and above convolutions that do not learn is the same") {
  for (const char* frozen : {"\"conv\"", "\"again\"", "\"scale\""}) {
    std::string text =
        NetText(5, NormBetween(false, "num_output: 16 kernel_size: 1", "num_output: 16 kernel_size: 3", ""), "last");
    const std::string name = absl::StrCat("name: ", frozen, " ");
    REQUIRE(absl::StrContains(text, name));
    text.replace(text.find(name), name.size(), absl::StrCat(name, "param { lr_mult: 0 } param { lr_mult: 0 } "));
    INFO(text);
    NetOptions options = Small();
    const Values fused = Compute(text, options);
    options.keep_blobs = true;
    const Values kept = Compute(text, options);
    CHECK(fused.outputs == kept.outputs);
    CHECK(DifferenceOfAll(kept, fused) < kThroughTwo);
  }
}

TEST_CASE("in phase TEST a convolution writes what the BatchNorm above makes of it, and its own values are not kept") {
  const std::string text =
      NetText(3, NormBetween(false, "num_output: 16 kernel_size: 1", "num_output: 16 kernel_size: 3", ""), "last");
  const auto outputs = [&](bool keep) {
    NetOptions options = ImageOptions(caffe::TEST, 6, 11, 12);
    options.keep_blobs = keep;
    std::unique_ptr<Net> net = MakeNet(text, options);
    FillWeights(net.get(), 1, 0.5f);
    for (float& weight : net->weights()) weight = std::abs(weight) + 0.1f;
    FillRecords(net.get(), 2, kClasses);
    REQUIRE_OK(net->Forward(0, 1));
    CHECK(net->FindBlob("conv").ok() == keep);
    CHECK(net->FindBlob("norm_n").ok() == keep);
    return std::vector<float>(net->outputs().begin(), net->outputs().end());
  };
  CHECK(outputs(false) == outputs(true));
}

TEST_CASE("in phase TRAIN what a convolution computes again is not kept") {
  const std::string text =
      NetText(3, NormBetween(false, "num_output: 16 kernel_size: 1", "num_output: 16 kernel_size: 3", ""), "last");
  std::unique_ptr<Net> net = MakeNet(text, Small());
  FillRecords(net.get(), 2, kClasses);
  REQUIRE_OK(net->Forward(0, 1));
  CHECK(net->FindBlob("conv").ok());
  CHECK_FALSE(net->FindBlob("norm_r").ok());
}

TEST_CASE("a BatchNorm of vectors does what the layers above it would do, also where only the Scale learns") {
  const auto text = [](const std::string& more) {
    return DataText(5) + R"(
      layer { name: "ip0" type: "InnerProduct" bottom: "data" top: "h" inner_product_param { num_output: 19 } )" +
           more +
           R"( }
      layer { name: "norm" type: "BatchNorm" bottom: "h" top: "h" }
      layer { name: "factors" type: "Scale" bottom: "h" top: "h" scale_param { bias_term: true } }
      layer { name: "relu" type: "ReLU" bottom: "h" top: "h" }
      layer { name: "ip" type: "InnerProduct" bottom: "h" top: "ip" inner_product_param { num_output: 3 } }
      layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" })";
  };
  CheckFusion(text(""), Small(), DifferenceOfAll);
  CHECK(Absorbed(text("")) == Names{"factors", "relu"});
  // The layer below learns nothing: the BatchNorm has no backward pass, the Scale has.
  const std::string frozen = text("param { lr_mult: 0 } param { lr_mult: 0 }");
  CHECK(Absorbed(frozen).empty());
  const Values values = Compute(frozen, Small());
  const v1::ParameterBlob& factors = values.layout.blobs(5);
  REQUIRE(factors.layer() == "factors");
  CHECK(std::any_of(values.gradients.begin() + static_cast<ptrdiff_t>(factors.offset()),
                    values.gradients.begin() + static_cast<ptrdiff_t>(factors.offset() + BlobElements(factors)),
                    [](float gradient) { return gradient != 0; }));
}

TEST_CASE("a BatchNorm does not absorb a Scale of other axes, of shared factors, of another blob") {
  const auto absorbed = [](const std::string& scale, const std::string& more = "") {
    return Absorbed(NetText(2,
                            R"(layer { name: "norm" type: "BatchNorm" bottom: "below" top: "y" }
                            layer { name: "factors" type: "Scale" bottom: "y" )" +
                                scale + " }" + more,
                            "last"));
  };
  CHECK(absorbed(R"(top: "last" )") == Names{"factors"});
  CHECK(absorbed(R"(top: "last" scale_param { num_axes: 2 })").empty());
  CHECK(absorbed(R"(top: "last" scale_param { axis: 2 })").empty());
  CHECK(absorbed(R"(top: "last" scale_param { num_axes: 0 })").empty());
  CHECK(absorbed(R"(bottom: "y" top: "last" scale_param { axis: 0 })").empty());
  CHECK(absorbed(R"(top: "s" param { name: "f" })",
                 R"(layer { name: "again" type: "Scale" bottom: "s" top: "last" param { name: "f" } })")
            .empty());
  CHECK(absorbed(R"(top: "last")", R"(layer { name: "reader" type: "Power" bottom: "y" top: "read" })").empty());
}

TEST_CASE("a sum of blobs does what the ReLU above it would do, and other combinations do not") {
  const bool in_place = GENERATE(true, false);
  const std::string top = in_place ? "a" : "sum", last = GENERATE(true, false) ? top : "last";
  const auto text = [&](const std::string& fields, const std::string& third, const std::string& relu = "") {
    return NetText(3,
                   R"(layer { name: "power" type: "Power" bottom: "below" top: "a" power_param { scale: 0.5 } }
                   layer { name: "other" type: "Power" bottom: "below" top: "b" power_param { shift: -0.3 } }
                   layer { name: "eltwise" type: "Eltwise" bottom: "a" bottom: "b" top: ")" +
                       top + "\" " + third + " eltwise_param { " + fields + " } }" + Relu(top, last, relu),
                   last);
  };
  const std::string third = GENERATE(as<std::string>(), "", "bottom: \"below\"");
  const std::string coefficients = third.empty() ? "coeff: 1 coeff: -2.5" : "coeff: 1 coeff: -2.5 coeff: 0.7";
  for (const std::string& fields : {std::string(), coefficients}) {
    INFO(text(fields, third));
    CheckFusion(text(fields, third), Small());
    CHECK(Absorbed(text(fields, third)) == Names{last + "_relu"});
  }
  CHECK(Absorbed(text("operation: MAX", third)).empty());
  CHECK(Absorbed(text("operation: PROD", third)).empty());
  CHECK(Absorbed(text("", third, "negative_slope: 0.1")).empty());
}

TEST_CASE("a net that is to keep its blobs runs each layer by itself") {
  NetOptions options = Small();
  options.keep_blobs = true;
  const std::string layers =
      Conv("num_output: 5 kernel_size: 3") + kRelu + Pool("conv", "p", "kernel_size: 2 stride: 2");
  CHECK(Absorbed(NetText(2, layers, "p"), options).empty());
}

TEST_CASE("convolutions of any geometry do what the layers that they absorb would do") {
  const std::vector<std::string> steps = {
      "",
      Relu("conv", "last"),
      Relu("conv", "last", "negative_slope: 0.1"),
      Pool("conv", "last", "kernel_size: 2 stride: 2"),
      Pool("conv", "last", "kernel_size: 3 stride: 2 pad: 1"),
      Pool("conv", "last", "kernel_size: 3 stride: 1"),
      Pool("conv", "last", "kernel_size: 3 stride: 2 round_mode: FLOOR"),
      Pool("conv", "last", "pool: AVE kernel_size: 3 stride: 2"),
      Pool("conv", "last", "pool: AVE kernel_size: 2 stride: 2 pad: 1"),
      Pool("conv", "last", "global_pooling: true"),
      kRelu + Pool("conv", "last", "kernel_size: 2 stride: 2 pad: 1"),
      kRelu + Pool("conv", "last", "kernel_size: 2 stride: 1"),
      kRelu + Pool("conv", "last", "pool: AVE kernel_size: 3 stride: 2 pad: 1"),
      Pool("conv", "last", "kernel_size: 3 stride: 2") + Relu("last", "last"),
      Pool("conv", "last", "kernel_size: 2 stride: 1") + Relu("last", "last"),
      Pool("conv", "last", "pool: AVE kernel_size: 3 stride: 2") + Relu("last", "last"),
      kRelu + Pool("conv", "last", "pool: AVE kernel_size: 2 stride: 2") + Relu("last", "last"),
      Pool("conv", "p", "kernel_size: 2 stride: 2") + Relu("p", "last", "negative_slope: 0.2"),
  };
  const std::string fields = GENERATE(
      as<std::string>(), "num_output: 5 kernel_size: 1", "num_output: 8 kernel_size: 3",
      "num_output: 9 kernel_size: 3 pad: 1", "num_output: 20 kernel_size: 5 pad: 2", "num_output: 3 kernel_size: 5",
      "num_output: 7 kernel_size: 3 stride: 2", "num_output: 7 kernel_size: 1 stride: 2",
      "num_output: 17 kernel_size: 3 pad: 3 stride: 2", "num_output: 10 kernel_size: 3 group: 2",
      "num_output: 6 kernel_size: 3 pad: 1 group: 2 stride: 2", "num_output: 5 kernel_size: 3 dilation: 2",
      "num_output: 4 kernel_size: 3 dilation: 2 pad: 2 stride: 2 group: 2",
      "num_output: 5 kernel_size: 3 bias_term: false", "num_output: 17 kernel_size: 1 stride: 3 pad: 2",
      "num_output: 6 kernel_size: 3 pad: 1 group: 6", "num_output: 12 kernel_size: 3 pad: 1 group: 6 stride: 2",
      "num_output: 6 kernel_size: 2 pad: 3 group: 3 stride: 3 dilation: 2", "num_output: 10 kernel_size: 1 group: 2",
      "num_output: 6 kernel_h: 1 kernel_w: 4 pad_h: 0 pad_w: 2 stride_h: 1 stride_w: 1");
  const int batch = GENERATE(1, 17);
  for (const std::string& step : steps) {
    INFO(fields << ", batch " << batch << ": " << step);
    CheckFusion(NetText(batch, Conv(fields) + step, step.empty() ? "conv" : "last"), Small());
  }
}

TEST_CASE("convolutions of one place compute on planes of any size what they compute with channels last below a pool") {
  const std::string fields =
      GENERATE(as<std::string>(), "num_output: 17 kernel_size: 1", "num_output: 1 kernel_size: 1 bias_term: false",
               "num_output: 30 kernel_size: 1 group: 3", "num_output: 50 kernel_size: 1 stride: 2");
  const int size = GENERATE(4, 7, 14, 15, 16, 32);
  const int channels = GENERATE(3, 300);
  if (channels > 3 && size > 16) return;
  for (const std::string pool : {"kernel_size: 2 stride: 2", "pool: AVE kernel_size: 3 stride: 2"}) {
    INFO(fields << ", " << channels << " channels of " << size << ", " << pool);
    CheckFusion(NetText(3, Conv(fields) + kRelu + Pool("conv", "p", pool), "p"),
                ImageOptions(caffe::TRAIN, channels, size, size));
  }
}

TEST_CASE("rows of a kernel that are longer than the registers are cut") {
  for (const std::string pool :
       {"kernel_size: 2 stride: 2", "pool: AVE kernel_size: 3 stride: 2", "kernel_size: 4 stride: 3"}) {
    INFO(pool);
    CheckFusion(
        NetText(3, Conv("num_output: 12 kernel_size: 5 pad: 1 stride: 2") + kRelu + Pool("conv", "p", pool), "p"),
        ImageOptions(caffe::TRAIN, 45, 14, 13));
  }
}

TEST_CASE("layers in place around a convolution see what they would see without fusion") {
  const std::string dropout = R"(layer { name: "drop" type: "Dropout" bottom: "conv" top: "conv" })";
  const std::string sigmoid = R"(layer { name: "sigmoid" type: "Sigmoid" bottom: "p" top: "p" })";
  const std::string max = Pool("conv", "p", "kernel_size: 2 stride: 2");
  const std::string mean = Pool("conv", "p", "pool: AVE kernel_size: 2 stride: 2");
  const std::string conv = Conv("num_output: 5 kernel_size: 3 pad: 1");
  const std::string again = R"(layer { name: "again" type: "ReLU" bottom: "conv" top: "conv" })";
  for (const std::string& layers :
       {conv + kRelu + dropout + max, conv + dropout + kRelu + max, conv + kRelu + again + mean,
        conv + kRelu + mean + sigmoid, conv + max + Relu("p", "p") + sigmoid, conv + mean + Relu("p", "p") + sigmoid}) {
    INFO(layers);
    CheckFusion(NetText(9, layers, "p"), Small());
  }
  // The convolution's own top has its bottom's name.
  const std::string own = R"(
      layer { name: "conv" type: "Convolution" bottom: "below" top: "below" convolution_param { num_output: 6 kernel_size: 3 pad: 1 } }
      layer { name: "relu" type: "ReLU" bottom: "below" top: "below" })";
  CheckFusion(NetText(9, own, "below"), Small());
}

TEST_CASE("a blob that two layers read has its values and both gradients") {
  const std::string conv = Conv("num_output: 5 kernel_size: 3 pad: 1");
  const std::string sum = R"(layer { name: "sum" type: "Eltwise" bottom: "r" bottom: "conv" top: "sum" })";
  CheckFusion(NetText(9, conv + Relu("conv", "r") + sum, "sum"), Small());
  const std::string pools =
      Relu("conv", "r") + Pool("r", "p", "kernel_size: 2 stride: 2") +
      R"(layer { name: "mean" type: "Pooling" bottom: "r" top: "m" pooling_param { pool: AVE kernel_size: 2 stride: 2 } }
         layer { name: "sum" type: "Eltwise" bottom: "m" bottom: "p" top: "sum" })";
  CheckFusion(NetText(9, conv + pools, "sum"), Small());
}

TEST_CASE("convolutions one above the other may share their weights") {
  auto conv = [](const std::string& name, const std::string& bottom) {
    return absl::StrCat(
        "layer { name: \"", name, "\" type: \"Convolution\" bottom: \"", bottom, "\" top: \"", name,
        "\" param { name: \"w\" } param { name: \"b\" } convolution_param { num_output: 6 kernel_size: 3 pad: 1 } }");
  };
  const std::string pool = Pool("r", "p", "kernel_size: 3 stride: 2");
  CheckFusion(NetText(9, conv("one", "below") + Relu("one", "r") + pool + conv("two", "p") + Relu("two", "two"), "two"),
              Small());
}

TEST_CASE("a convolution that neither learns nor passes gradients on runs no backward") {
  const std::string text =
      NetText(9,
              R"(layer { name: "conv" type: "Convolution" bottom: "below" top: "conv" propagate_down: false
      param { lr_mult: 0 } param { lr_mult: 0 } convolution_param { num_output: 5 kernel_size: 3 } })" +
                  std::string(kRelu) + Pool("conv", "p", "kernel_size: 2 stride: 2"),
              "p");
  NetOptions options = Small();
  const Values fused = Compute(text, options);
  options.keep_blobs = true;
  const Values kept = Compute(text, options);
  CHECK(fused.outputs == kept.outputs);
  CHECK(fused.gradients == kept.gradients);
}

TEST_CASE("phase TEST computes what phase TRAIN does") {
  const std::string text =
      NetText(9, Conv("num_output: 5 kernel_size: 3") + kRelu + Pool("conv", "p", "kernel_size: 2 stride: 2"), "p");
  const Values train = Compute(text, Small());
  std::unique_ptr<Net> net = MakeNet(text, ImageOptions(caffe::TEST, 6, 11, 12));
  FillWeights(net.get(), 1, 0.5f);
  FillRecords(net.get(), 2, kClasses);
  REQUIRE_OK(net->Forward(0, 0));
  CHECK(std::vector<float>(net->outputs().begin(), net->outputs().end()) == train.outputs);
}

}  // namespace
}  // namespace samovar
