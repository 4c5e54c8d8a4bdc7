// Losses besides softmax's, and Accuracy's second top, computed by hand.
#include <cmath>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "caffe.pb.h"
#include "google/protobuf/text_format.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/worker/nn/single_layer.h"
#include "tests/worker/nn/test_net.h"

namespace samovar {
namespace {

const float kLog3 = std::log(3.0f);
const double kLn2 = std::log(2.0);
// -log of 1/4 and 3/4, the two classes' probabilities where scores differ by log 3.
const double kQuarter = std::log(4.0);
const double kThreeQuarters = std::log(4.0 / 3);

TEST_CASE("EuclideanLoss is half the mean square of the distance") {
  // d = data / 2 = {1, 2}, {3, 4}.
  CHECK(Run(R"(layer { name: "half" type: "Power" bottom: "data" top: "half" power_param { scale: 0.5 } }
      layer { name: "l" type: "EuclideanLoss" bottom: "data" bottom: "half" top: "l" })",
            Image(2, 1, 1), {2, 4, 6, 8}, {}, {0, 0})[0] == 7.5f);
}

TEST_CASE("SigmoidCrossEntropyLoss is divided by the batch, unless another divisor is asked for") {
  // Targets are 1 where scores are above 0: losses log 2, log 4/3, log 2, log 4/3.
  const auto loss = [](const std::string& fields) {
    return Run(R"(layer { name: "t" type: "Threshold" bottom: "data" top: "t" }
        layer { name: "l" type: "SigmoidCrossEntropyLoss" bottom: "data" bottom: "t" top: "l" loss_param { )" +
                   fields + " } }",
               Image(2, 1, 1), {0, kLog3, 0, -kLog3}, {}, {0, 0})[0];
  };
  const double sum = 2 * kLn2 + 2 * kThreeQuarters;
  CHECK(loss("") == Approx(sum / 2));
  CHECK(loss("normalization: FULL") == Approx(sum / 4));
  CHECK(loss("normalization: VALID") == Approx(sum / 4));
  CHECK(loss("normalization: NONE") == Approx(sum));
  CHECK(loss("normalize: true") == Approx(sum / 4));
  CHECK(loss("ignore_label: 1") == Approx((sum - kThreeQuarters) / 2));
  CHECK(loss("ignore_label: 1 normalization: VALID") == Approx((sum - kThreeQuarters) / 3));
}

TEST_CASE("SigmoidCrossEntropyLoss survives large scores") {
  const std::string loss =
      R"(layer { name: "l" type: "SigmoidCrossEntropyLoss" bottom: "data" bottom: "label" top: "l" })";
  CHECK(Run(loss, Image(1, 1, 1), {100}, {}, {0})[0] == 100);
  CHECK(Run(loss, Image(1, 1, 1), {-100}, {}, {1})[0] == 100);
  CHECK(Run(loss, Image(1, 1, 1), {100}, {}, {1})[0] == Approx(0).margin(1e-30));
  CHECK(Run(loss, Image(1, 1, 1), {-1000}, {}, {0})[0] == Approx(0).margin(1e-30));
}

TEST_CASE("HingeLoss sums what the margins lack, or its squares") {
  const std::string loss =
      R"(layer { name: "l" type: "HingeLoss" bottom: "data" bottom: "label" top: "l" hinge_loss_param { )";
  // Lacking: 0, 1.5, 0 and 1, 1, 1.
  const std::vector<float> scores = {2, 0.5, -3, 0, 0, 0};
  CHECK(Run(loss + "} }", Image(3, 1, 1), scores, {}, {0, 2})[0] == 2.25f);
  CHECK(Run(loss + "norm: L2 } }", Image(3, 1, 1), scores, {}, {0, 2})[0] == 2.625f);
}

TEST_CASE("ContrastiveLoss draws similar pairs together and the others apart up to the margin") {
  // The other record of each pair is 0: d = 5.
  const auto loss = [](const std::string& fields) {
    return Run(R"(layer { name: "zero" type: "Power" bottom: "data" top: "zero" power_param { scale: 0 } }
        layer { name: "l" type: "ContrastiveLoss" bottom: "data" bottom: "zero" bottom: "label" top: "l" contrastive_loss_param { )" +
                   fields + " } }",
               Image(2, 1, 1), {3, 4, 3, 4}, {}, {1, 0})[0];
  };
  CHECK(loss("") == 6.25f);
  CHECK(loss("margin: 6") == 6.5f);
  CHECK(loss("margin: 30 legacy_version: true") == 7.5f);
}

TEST_CASE("MultinomialLogisticLoss is the mean of -log p, at most -log 1e-20") {
  const std::string loss =
      R"(layer { name: "l" type: "MultinomialLogisticLoss" bottom: "data" bottom: "label" top: "l" })";
  CHECK(Run(loss, Image(2, 1, 1), {0.25, 0.75, 0.5, 0.5}, {}, {0, 1})[0] == Approx((kQuarter + kLn2) / 2));
  CHECK(Run(loss, Image(2, 1, 1), {0, 1}, {}, {0})[0] == Approx(46.0517));
}

constexpr char kInfogain[] = R"(layer { name: "l" type: "InfogainLoss" bottom: "data" bottom: "label" top: "l" )";

// A file of a matrix of two classes.
std::string WriteMatrix(const TempDir& directory, const std::string& text) {
  caffe::BlobProto blob;
  REQUIRE(google::protobuf::TextFormat::ParseFromString(text, &blob));
  const std::string path = directory.File("matrix.binaryproto");
  std::ofstream(path, std::ios::binary) << blob.SerializeAsString();
  return path;
}

TEST_CASE("InfogainLoss weights -log p of each class by the label's row of the matrix") {
  TempDir directory;
  for (const char* shape :
       {"shape { dim: 2 dim: 2 } data: 1 data: 0.5 data: 0 data: 2",
        "num: 1 channels: 1 height: 2 width: 2 double_data: 1 double_data: 0.5 double_data: 0 double_data: 2"}) {
    const std::string loss =
        absl::StrCat(kInfogain, "infogain_loss_param { source: \"", WriteMatrix(directory, shape), "\" } ");
    const std::vector<float> scores = {0, kLog3, 0, kLog3, 0, kLog3};
    const double zero = kQuarter + 0.5 * kThreeQuarters, one = 2 * kThreeQuarters;
    CHECK(Run(loss + "}", Image(2, 1, 1), scores, {}, {0, 1, 0})[0] == Approx((2 * zero + one) / 3));
    CHECK(Run(loss + "loss_param { ignore_label: 0 } }", Image(2, 1, 1), scores, {}, {0, 1, 0})[0] == Approx(one));
    CHECK(Run(loss + "loss_param { ignore_label: 0 normalization: BATCH_SIZE } }", Image(2, 1, 1), scores, {},
              {0, 1, 0})[0] == Approx(one / 3));
  }
}

TEST_CASE("InfogainLoss takes its matrix from a third bottom, and gives the probabilities as second top") {
  const std::string matrix =
      R"(layer { name: "h" type: "DummyData" top: "h" dummy_data_param { shape { dim: 1 dim: 1 dim: 2 dim: 2 }
      data_filler { value: 0.5 } } })";
  const std::vector<float> values =
      Run(matrix + kInfogain + "bottom: \"h\" top: \"p\" }", Image(2, 1, 1), {0, kLog3}, {}, {1});
  REQUIRE(values.size() == 3);
  CHECK(values[0] == Approx((kQuarter + kThreeQuarters) / 2));
  CHECK(values[1] == Approx(0.25));
  CHECK(values[2] == Approx(0.75));
}

TEST_CASE("a matrix of InfogainLoss that does not fit, or a damaged file, is refused by name") {
  TempDir directory;
  const auto create = [](const std::string& fields) {
    return Net::Create(NetFromText(DataText(1) + kInfogain + fields + " }"), Image(2, 1, 1)).status();
  };
  const auto source = [&](const std::string& path) {
    return create("infogain_loss_param { source: \"" + path + "\" }");
  };
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  REQUIRE_STATUS(create(""), kInvalid, "give a third bottom, or a file in infogain_loss_param.source");
  REQUIRE_STATUS(source(directory.File("none")), absl::StatusCode::kNotFound, "layer \"l\" (InfogainLoss)");
  REQUIRE_STATUS(source(WriteMatrix(directory, "shape { dim: 3 dim: 3 }")), kInvalid,
                 "has shape [3, 3]; for 2 classes it must be [2, 2]");
  REQUIRE_STATUS(source(WriteMatrix(directory, "shape { dim: 2 dim: -2 }")), kInvalid, "not positive");
  REQUIRE_STATUS(source(WriteMatrix(directory, "shape { dim: 2 dim: 2 } data: 1")), absl::StatusCode::kDataLoss,
                 "holds 1 values");
  const std::string garbage = directory.File("garbage");
  std::ofstream(garbage) << "\xff\xff\xff\xff garbage";
  REQUIRE_STATUS(source(garbage), absl::StatusCode::kDataLoss, "garbage is not a BlobProto");
  REQUIRE_STATUS(create("bottom: \"label\""), kInvalid, "the infogain matrix has shape [1]");
}

TEST_CASE("Accuracy's second top is each class's share, 0 where there is no label") {
  const std::string accuracy =
      R"(layer { name: "a" type: "Accuracy" bottom: "data" bottom: "label" top: "a" top: "b" accuracy_param { )";
  const std::vector<float> scores = {1, 2, 3, 3, 2, 1, 9, 1, 1, 1, 9, 1};
  CHECK(Run(accuracy + "} }", Image(3, 1, 1), scores, {}, {2, 2, 0, 0}) == std::vector<float>{0.5, 0.5, 0, 0.5});
  CHECK(Run(accuracy + "ignore_label: 0 } }", Image(3, 1, 1), scores, {}, {2, 2, 0, 0}) ==
        std::vector<float>{0.5, 0, 0, 0.5});
}

}  // namespace
}  // namespace samovar
