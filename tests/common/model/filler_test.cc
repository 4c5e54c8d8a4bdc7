#include "common/model/filler.h"

#include <cmath>
#include <span>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

// A convolution's weights: fan_in 20 * 5 * 5 = 500, fan_out 50 * 5 * 5 = 1250.
v1::ParameterBlob ConvolutionWeights(const std::string& type) {
  v1::ParameterBlob blob;
  blob.set_layer("conv2");
  for (int64_t dimension : {50, 20, 5, 5}) blob.add_shape(dimension);
  blob.mutable_filler()->set_type(type);
  return blob;
}

constexpr uint64_t kElements = 25000;

std::vector<float> Fill(const v1::ParameterBlob& blob, uint64_t seed) {
  std::vector<float> values(kElements);
  REQUIRE_OK(FillRange(blob, seed, 0, values));
  return values;
}

struct Moments {
  double mean = 0, deviation = 0, largest = 0;
};
Moments MomentsOf(const std::vector<float>& values) {
  Moments result;
  for (float value : values) result.mean += value;
  result.mean /= static_cast<double>(values.size());
  for (float value : values) {
    result.deviation += (value - result.mean) * (value - result.mean);
    result.largest = std::max(result.largest, std::abs(static_cast<double>(value)));
  }
  result.deviation = std::sqrt(result.deviation / static_cast<double>(values.size()));
  return result;
}

TEST_CASE("constant fills with its value") {
  v1::ParameterBlob blob = ConvolutionWeights("constant");
  blob.mutable_filler()->set_value(0.25f);
  for (float value : Fill(blob, 1)) REQUIRE(value == 0.25f);
}

TEST_CASE("xavier is uniform within the root of three over fan_in") {
  const Moments moments = MomentsOf(Fill(ConvolutionWeights("xavier"), 1));
  const double scale = std::sqrt(3.0 / 500);
  CHECK(moments.largest <= scale);
  CHECK(moments.largest > 0.99 * scale);
  // Standard errors at 25,000 samples: 0.0003 of the mean, 0.4 % of the deviation.
  CHECK(moments.mean == Approx(0).margin(0.002));
  CHECK(moments.deviation == Approx(scale / std::sqrt(3.0)).epsilon(0.02));
}

TEST_CASE("variance_norm chooses the fan") {
  v1::ParameterBlob blob = ConvolutionWeights("xavier");
  blob.mutable_filler()->set_variance_norm(caffe::FillerParameter::FAN_OUT);
  CHECK(MomentsOf(Fill(blob, 1)).deviation == Approx(std::sqrt(1.0 / 1250)).epsilon(0.02));
  blob.mutable_filler()->set_variance_norm(caffe::FillerParameter::AVERAGE);
  CHECK(MomentsOf(Fill(blob, 1)).deviation == Approx(std::sqrt(1.0 / 875)).epsilon(0.02));
}

TEST_CASE("gaussian and msra have the mean and deviation asked for") {
  v1::ParameterBlob blob = ConvolutionWeights("gaussian");
  blob.mutable_filler()->set_mean(1.0f);
  blob.mutable_filler()->set_std(0.5f);
  const Moments gaussian = MomentsOf(Fill(blob, 1));
  CHECK(gaussian.mean == Approx(1).margin(0.02));
  CHECK(gaussian.deviation == Approx(0.5).epsilon(0.03));
  CHECK(MomentsOf(Fill(ConvolutionWeights("msra"), 1)).deviation == Approx(std::sqrt(2.0 / 500)).epsilon(0.03));
}

TEST_CASE("any range computed alone equals that range of the whole") {
  for (const char* type : {"uniform", "gaussian", "xavier", "msra"}) {
    const v1::ParameterBlob blob = ConvolutionWeights(type);
    const std::vector<float> whole = Fill(blob, 7);
    for (uint64_t begin : {0u, 1u, 3u, 1023u, 24990u}) {
      std::vector<float> part(10);
      REQUIRE_OK(FillRange(blob, 7, begin, part));
      for (size_t i = 0; i < part.size(); ++i) REQUIRE(part[i] == whole[begin + i]);
    }
  }
}

TEST_CASE("seeds and blobs do not share numbers") {
  v1::ParameterBlob blob = ConvolutionWeights("xavier");
  const std::vector<float> first = Fill(blob, 1);
  CHECK(first != Fill(blob, 2));
  blob.set_offset(500);
  CHECK(first != Fill(blob, 1));
}

TEST_CASE("a blob without axes is one number") {
  v1::ParameterBlob blob;
  blob.mutable_filler()->set_type("xavier");
  float value = 2;
  REQUIRE_OK(FillRange(blob, 1, 0, std::span<float>(&value, 1)));
  CHECK(std::abs(value) <= std::sqrt(3.0f));
  blob.mutable_filler()->set_type("constant");
  blob.mutable_filler()->set_value(0.25f);
  REQUIRE_OK(FillRange(blob, 1, 0, std::span<float>(&value, 1)));
  CHECK(value == 0.25f);
}

TEST_CASE("a filler that is not offered is refused by layer and name") {
  std::vector<float> out(1);
  REQUIRE_STATUS(FillRange(ConvolutionWeights("xaver"), 1, 0, out), absl::StatusCode::kInvalidArgument, "\"xaver\"");
  REQUIRE_STATUS(FillRange(ConvolutionWeights("bilinear"), 1, 0, out), absl::StatusCode::kUnimplemented, "conv2");
}

}  // namespace
}  // namespace samovar
