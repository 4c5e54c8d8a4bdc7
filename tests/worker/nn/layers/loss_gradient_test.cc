// Gradients of the losses besides softmax's.
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/thread_pool.h"
#include "tests/support/catch.h"
#include "tests/worker/nn/gradient_check.h"
#include "tests/worker/nn/test_net.h"

namespace samovar {
namespace {

std::string Scores(const std::string& name, int outputs) {
  return absl::StrCat("layer { name: \"", name, "\" type: \"InnerProduct\" bottom: \"data\" top: \"", name,
                      "\" inner_product_param { num_output: ", outputs, " } }\n");
}

// A blob [batch, 4, 6, 7] with a scale for each channel.
constexpr char kMap[] = R"(
    layer { name: "map" type: "Convolution" bottom: "data" top: "map" convolution_param { num_output: 4 kernel_size: 1 group: 4 } })";

constexpr GradientCase kSmall{.batch = 19, .channels = 2, .height = 3, .width = 3};

std::string Loss(const std::string& type, const std::string& bottoms, const std::string& fields = "") {
  std::string text = absl::StrCat("layer { name: \"loss\" type: \"", type, "\" top: \"loss\" ", fields);
  std::string word;
  for (char letter : bottoms + " ") {
    if (letter != ' ') {
      word += letter;
    } else {
      absl::StrAppend(&text, " bottom: \"", word, "\"");
      word.clear();
    }
  }
  return text + " }";
}

TEST_CASE("EuclideanLoss's gradients to both bottoms agree with differences") {
  CheckGradients(Scores("a", 4) + Scores("b", 4) + Loss("EuclideanLoss", "a b", "loss_weight: 0.5"), kSmall);
  // Targets from the data, either way round.
  CheckGradients(kMap + Loss("EuclideanLoss", "map data", "loss_weight: 0.1"));
  CheckGradients(kMap + Loss("EuclideanLoss", "data map", "loss_weight: 0.1"));
}

TEST_CASE("SigmoidCrossEntropyLoss's gradient agrees with differences for every normalization") {
  CheckGradients(kMap + Loss("SigmoidCrossEntropyLoss", "map data", "loss_weight: 0.02"));
  CheckGradients(kMap +
                 Loss("SigmoidCrossEntropyLoss", "map data", "loss_param { normalization: FULL } loss_weight: 2"));
  for (const char* fields :
       {"", "ignore_label: 1", "normalization: VALID ignore_label: 1", "normalize: true ignore_label: 0"}) {
    CheckGradients(
        Scores("a", 1) + Loss("SigmoidCrossEntropyLoss", "a label", absl::StrCat("loss_param { ", fields, " }")),
        kSmall);
  }
}

TEST_CASE("HingeLoss's gradient agrees with differences in both norms") {
  CheckGradients(Scores("a", 3) + Loss("HingeLoss", "a label"), kSmall);
  CheckGradients(Scores("a", 3) + Loss("HingeLoss", "a label", "hinge_loss_param { norm: L2 } loss_weight: 0.3"),
                 kSmall);
}

TEST_CASE("ContrastiveLoss's gradients to both bottoms agree with differences, in the legacy version too") {
  GradientCase pairs = kSmall;
  pairs.classes = 2;
  for (const char* fields : {"", "margin: 2.5", "margin: 2 legacy_version: true"}) {
    CheckGradients(Scores("a", 3) + Scores("b", 3) +
                       Loss("ContrastiveLoss", "a b label", absl::StrCat("contrastive_loss_param { ", fields, " }")),
                   pairs);
  }
}

TEST_CASE("MultinomialLogisticLoss's gradient agrees with differences") {
  CheckGradients(Scores("a", 3) + R"(layer { name: "p" type: "Softmax" bottom: "a" top: "p" })" +
                     Loss("MultinomialLogisticLoss", "p label"),
                 kSmall);
}

constexpr char kMatrix[] = R"(
    layer { name: "h" type: "DummyData" top: "h" dummy_data_param { shape { dim: 3 dim: 3 }
            data_filler { type: "uniform" min: 0.2 max: 1.5 } } })";

TEST_CASE("InfogainLoss's gradient agrees with differences, with ignored labels and with its second top") {
  for (const char* fields :
       {"", "ignore_label: 1", "normalization: BATCH_SIZE ignore_label: 0", "normalization: NONE"}) {
    CheckGradients(Scores("a", 3) + kMatrix +
                       Loss("InfogainLoss", "a label h", absl::StrCat("loss_weight: 0.4 loss_param { ", fields, " }")),
                   {.batch = 5, .channels = 2, .height = 3, .width = 3});
  }
  CheckGradients(
      Scores("a", 3) + kMatrix + Loss("InfogainLoss", "a label h", "loss_weight: 0.5 top: \"p\" loss_weight: 0"),
      kSmall);
}

TEST_CASE("losses compute the same bits on any number of threads") {
  const std::string wide = Scores("a", 500) + Scores("b", 500) +
                           R"(layer { name: "e" type: "EuclideanLoss" bottom: "a" bottom: "b" top: "e" }
      layer { name: "t" type: "Sigmoid" bottom: "b" top: "t" }
      layer { name: "s" type: "SigmoidCrossEntropyLoss" bottom: "a" bottom: "t" top: "s" propagate_down: true propagate_down: false }
      layer { name: "h" type: "HingeLoss" bottom: "a" bottom: "label" top: "h" }
      layer { name: "c" type: "ContrastiveLoss" bottom: "a" bottom: "b" bottom: "label" top: "c" contrastive_loss_param { margin: 20 } }
      layer { name: "m" type: "DummyData" top: "m" dummy_data_param { shape { dim: 500 dim: 500 } data_filler { type: "uniform" } } }
      layer { name: "i" type: "InfogainLoss" bottom: "a" bottom: "label" bottom: "m" top: "i" })";
  const auto compute = [&](ThreadPool* pool) {
    std::unique_ptr<Net> net = MakeNet(DataText(131) + wide, ImageOptions(caffe::TRAIN, 1, 3, 5, pool));
    FillWeights(net.get(), 1);
    FillRecords(net.get(), 2, 500);
    std::vector<float> values = Gradients(net.get());
    values.push_back(net->loss());
    return values;
  };
  const std::vector<float> alone = compute(nullptr);
  ThreadPool pool(3);
  CHECK(compute(&pool) == alone);
}

}  // namespace
}  // namespace samovar
