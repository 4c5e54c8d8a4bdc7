// Losses of the parts of a batch, against those of the whole batch.
#include "worker/nn/net_parts.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/worker/nn/test_net.h"

namespace samovar {
namespace {

constexpr int kRecords = 8;
constexpr int kClasses = 4;

// Records of three channels of 2 x 2, a label for each of the 2 x 2 places' scores if `dense`; else one a record.
std::string NetText(const std::string& loss, bool dense) {
  const std::string scores =
      dense
          ? R"(layer { name: "ip" type: "Convolution" bottom: "data" top: "ip" convolution_param { num_output: 4 kernel_size: 1 } })"
          : R"(layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 4 } })";
  return absl::StrCat(
      R"(layer { name: "input" type: "HDF5Data" top: "data" top: "label" top: "target" hdf5_data_param { batch_size: 8 } })",
      "\n", scores, "\n", loss);
}

absl::StatusOr<std::unique_ptr<Net>> NetOf(const std::string& loss, bool dense, int parts) {
  NetOptions options;
  options.input_shapes["input"] = {
      {3, 2, 2}, dense ? Shape{2, 2} : Shape{}, dense ? Shape{kClasses, 2, 2} : Shape{kClasses}};
  options.batch_size = kRecords / parts;
  options.parts = parts;
  return Net::Create(NetFromText(NetText(loss, dense)), options);
}

struct Computed {
  std::vector<double> gradients;
  double loss = 0;
  std::vector<double> outputs;
};

// Computes the records of one part of `parts`, and adds its share.
void AddPart(Net* net, int part, int parts, Computed* sum) {
  FillWeights(net, 5);
  for (size_t top = 0; top < 3; ++top) {
    const std::span<float> values = net->inputs()[0].tops[top];
    for (size_t i = 0; i < values.size(); ++i) {
      const size_t place = static_cast<size_t>(part) * values.size() + i;
      values[i] = top == 1 ? static_cast<float>((place * place + place / 3) % kClasses)
                           : static_cast<float>(place * 7 % 11) / 11;
    }
  }
  const std::vector<float> gradients = Gradients(net);
  sum->gradients.resize(gradients.size());
  for (size_t i = 0; i < gradients.size(); ++i) sum->gradients[i] += gradients[i] / static_cast<double>(parts);
  sum->loss += net->loss() / static_cast<double>(parts);
  sum->outputs.resize(net->outputs().size());
  for (size_t i = 0; i < net->outputs().size(); ++i) sum->outputs[i] += net->outputs()[i] / static_cast<double>(parts);
}

void CheckNear(const std::vector<double>& actual, const std::vector<double>& expected) {
  REQUIRE(actual.size() == expected.size());
  double largest = 0;
  for (const double value : expected) largest = std::max(largest, std::abs(value));
  REQUIRE(largest > 1e-3);
  // Sums of a hundred floats or so, in another order.
  for (size_t i = 0; i < actual.size(); ++i) CHECK(std::abs(actual[i] - expected[i]) <= 2e-6 * largest);
}

// The mean of the parts' gradients, losses and outputs is the whole batch's. `outputs`: outputs have no value for each
// record.
void CheckParts(const std::string& loss, bool dense, bool outputs = true) {
  INFO(NetText(loss, dense));
  Computed whole;
  auto net = NetOf(loss, dense, 1);
  REQUIRE_OK(net);
  AddPart(net->get(), 0, 1, &whole);
  for (const int parts : {2, 4, 8}) {
    INFO(parts << " parts");
    Computed mean;
    auto part_net = NetOf(loss, dense, parts);
    REQUIRE_OK(part_net);
    for (int part = 0; part < parts; ++part) AddPart(part_net->get(), part, parts, &mean);
    CheckNear(mean.gradients, whole.gradients);
    CheckNear({mean.loss}, {whole.loss});
    if (outputs) CheckNear(mean.outputs, whole.outputs);
    // A display multiplies what is shown by what the net's text says.
    CHECK((*part_net)->output_specs().outputs(0).loss_weight() == (*net)->output_specs().outputs(0).loss_weight());
  }
}

std::string LossOf(const std::string& type, const std::string& bottom, const std::string& fields) {
  return absl::StrCat("layer { name: \"loss\" type: \"", type, "\" bottom: \"ip\" bottom: \"", bottom,
                      "\" top: \"loss\" ", fields, " }\nlayer { name: \"unused\" type: \"Silence\" bottom: \"",
                      bottom == "label" ? "target" : "label", "\" }");
}

const std::vector<std::string> kNormalizations = {"",
                                                  "normalization: FULL",
                                                  "normalization: VALID",
                                                  "normalization: BATCH_SIZE",
                                                  "normalization: NONE",
                                                  "normalize: true",
                                                  "normalize: false"};

TEST_CASE(
    "the mean of the parts' gradients is the whole batch's, for each loss and each normalization, or the net is "
    "refused") {
  for (const bool dense : {false, true}) {
    for (const std::string& normalization : kNormalizations) {
      for (const std::string ignored : {"", "ignore_label: 1"}) {
        for (const std::string type : {"SoftmaxWithLoss", "SigmoidCrossEntropyLoss", "InfogainLoss"}) {
          std::string text = LossOf(type, type == "SigmoidCrossEntropyLoss" ? "target" : "label",
                                    absl::StrCat("loss_weight: 0.5 loss_param { ", normalization, " ", ignored, " }"));
          if (type == "InfogainLoss") {
            text = absl::StrCat(
                R"(layer { name: "matrix" type: "Parameter" top: "h" param { lr_mult: 0 } parameter_param { shape { dim: 4 dim: 4 } } })",
                absl::StrReplaceAll(text, {{"bottom: \"label\" top", "bottom: \"label\" bottom: \"h\" top"}}));
          }
          const bool valid = absl::StrContains(normalization, "VALID") || normalization == "normalize: true" ||
                             (normalization.empty() && type != "SigmoidCrossEntropyLoss");
          if (!valid || ignored.empty()) {
            CheckParts(text, dense);
            continue;
          }
          INFO(text);
          REQUIRE_OK(NetOf(text, dense, 1));
          const absl::Status refused = NetOf(text, dense, 2).status();
          REQUIRE_STATUS(refused, absl::StatusCode::kUnimplemented, "write loss_param { normalization: FULL }");
        }
      }
    }
  }
}

TEST_CASE("the mean of the parts' gradients is the whole batch's, for losses that have no normalization") {
  CheckParts(LossOf("EuclideanLoss", "target", "loss_weight: 3"), false);
  CheckParts(LossOf("EuclideanLoss", "target", ""), true);
  CheckParts(LossOf("HingeLoss", "label", ""), false);
  CheckParts(LossOf("HingeLoss", "label", "hinge_loss_param { norm: L2 }"), false);
  CheckParts(R"(layer { name: "p" type: "Softmax" bottom: "ip" top: "p" }
      layer { name: "loss" type: "MultinomialLogisticLoss" bottom: "p" bottom: "label" top: "loss" }
      layer { name: "unused" type: "Silence" bottom: "target" })",
             false);
  CheckParts(R"(layer { name: "same" type: "Threshold" bottom: "label" top: "same" threshold_param { threshold: 1.5 } }
      layer { name: "loss" type: "ContrastiveLoss" bottom: "ip" bottom: "target" bottom: "same" top: "loss" contrastive_loss_param { margin: 3 } })",
             false);
}

TEST_CASE("the mean of the parts' gradients is the whole batch's, for sums and means that are losses by their weight") {
  const std::string unused = R"(layer { name: "unused" type: "Silence" bottom: "label" bottom: "target" })";
  for (const std::string operation : {"SUM", "ASUM", "SUMSQ", "MEAN"}) {
    CheckParts(
        absl::StrCat(
            R"(layer { name: "loss" type: "Reduction" bottom: "ip" top: "loss" loss_weight: 0.5 reduction_param { operation: )",
            operation, " } }", unused),
        false);
    CheckParts(
        absl::StrCat(
            R"(layer { name: "loss" type: "Reduction" bottom: "ip" top: "loss" loss_weight: 2 reduction_param { axis: 1 operation: )",
            operation, " } }", unused),
        false, /*outputs=*/false);
  }
  CheckParts(
      absl::StrCat(
          R"(layer { name: "loss" type: "Power" bottom: "ip" top: "loss" loss_weight: 0.1 power_param { power: 2 } })",
          unused),
      true,
      /*outputs=*/false);
}

TEST_CASE("a loss that does not depend on the records counts once, however many parts there are") {
  CheckParts(R"(layer { name: "w" type: "Parameter" top: "w" parameter_param { shape { dim: 3 } } }
      layer { name: "size" type: "Reduction" bottom: "w" top: "size" loss_weight: 0.3 reduction_param { operation: SUMSQ } })" +
                 LossOf("SoftmaxWithLoss", "label", ""),
             false);
}

TEST_CASE("a loss of something that is made of several records is refused in parts") {
  const std::string mixed =
      R"(layer { name: "mean" type: "Reduction" bottom: "ip" top: "mean" reduction_param { operation: MEAN } }
      layer { name: "loss" type: "Power" bottom: "mean" top: "loss" loss_weight: 1 power_param { power: 2 } }
      layer { name: "unused" type: "Silence" bottom: "label" bottom: "target" })";
  REQUIRE_OK(NetOf(mixed, false, 1));
  REQUIRE_STATUS(NetOf(mixed, false, 2).status(), absl::StatusCode::kUnimplemented,
                 "layer \"loss\" (Power): its loss is neither a mean nor a sum over the records");
}

}  // namespace
}  // namespace samovar
