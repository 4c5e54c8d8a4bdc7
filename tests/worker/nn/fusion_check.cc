#include "tests/worker/nn/fusion_check.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/model/layout.h"
#include "tests/support/catch.h"
#include "tests/worker/nn/test_net.h"

namespace samovar {
std::string NetText(int batch, const std::string& layers, const std::string& last) {
  return absl::StrCat(DataText(batch), R"(
      layer { name: "scale" type: "Scale" bottom: "data" top: "below" scale_param { bias_term: true } })",
                      layers, R"(
      layer { name: "seen" type: "Power" bottom: ")",
                      last, R"(" top: "seen" }
      layer { name: "ip" type: "InnerProduct" bottom: ")",
                      last, R"(" top: "ip" inner_product_param { num_output: )", kClasses, R"( } }
      layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" })");
}

Values Compute(const std::string& text, NetOptions options) {
  std::unique_ptr<Net> net = MakeNet(text, options);
  FillWeights(net.get(), 1, 0.5f);
  FixStatistics(net.get());
  FillRecords(net.get(), 2, kClasses);
  std::vector<float> gradients = Gradients(net.get());
  REQUIRE(std::all_of(gradients.begin(), gradients.end(), [](float x) { return std::isfinite(x); }));
  return {{net->outputs().begin(), net->outputs().end()}, std::move(gradients), net->layout()};
}

double DifferenceOfAll(const Values& a, const Values& b) {
  double largest = 0;
  double difference = 0;
  for (size_t i = 0; i < a.gradients.size(); ++i) {
    largest = std::max<double>(largest, std::abs(a.gradients[i]));
    difference = std::max<double>(difference, std::abs(a.gradients[i] - b.gradients[i]));
  }
  return difference / largest;
}

double Difference(const Values& a, const Values& b) {
  double worst = 0;
  for (const v1::ParameterBlob& blob : a.layout.blobs()) {
    double largest = 0;
    double difference = 0;
    for (size_t i = blob.offset(); i < blob.offset() + BlobElements(blob); ++i) {
      largest = std::max<double>(largest, std::abs(a.gradients[i]));
      difference = std::max<double>(difference, std::abs(a.gradients[i] - b.gradients[i]));
    }
    if (difference > worst * largest) worst = difference / largest;
  }
  return worst;
}

void CheckFusion(const std::string& text, NetOptions options, double (*difference)(const Values&, const Values&),
                 double most) {
  const Values fused = Compute(text, options);
  ThreadPool pool(2);
  options.pool = &pool;
  const Values by_two = Compute(text, options);
  CHECK(by_two.outputs == fused.outputs);
  CHECK(by_two.gradients == fused.gradients);
  options.keep_blobs = true;
  const Values kept = Compute(text, options);
  CHECK(fused.outputs == kept.outputs);
  CHECK(difference(kept, fused) < most);
  // Those of the layer below came all the way down.
  CHECK(fused.gradients[0] != 0);
}

NetOptions Small() { return ImageOptions(caffe::TRAIN, 6, 11, 12); }

}  // namespace samovar
