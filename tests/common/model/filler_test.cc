#include "common/model/filler.h"

#include <cmath>
#include <span>
#include <string>
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
  for (const char* type : {"uniform", "gaussian", "positive_unitball", "xavier", "msra", "bilinear", "sparse"}) {
    v1::ParameterBlob blob = ConvolutionWeights(type);
    if (std::string(type) == "sparse") {
      blob.mutable_filler()->set_type("gaussian");
      blob.mutable_filler()->set_sparse(30);
    }
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

TEST_CASE("a sparse gaussian keeps as many values of each column, on average, as sparse says") {
  v1::ParameterBlob blob = ConvolutionWeights("gaussian");
  const std::vector<float> dense = Fill(blob, 1);
  blob.mutable_filler()->set_sparse(10);
  const std::vector<float> sparse = Fill(blob, 1);
  size_t kept = 0;
  for (size_t i = 0; i < sparse.size(); ++i) {
    REQUIRE((sparse[i] == 0 || sparse[i] == dense[i]));
    kept += sparse[i] != 0;
  }
  // Of 25,000 one fifth; the deviation is 63.
  CHECK(std::abs(static_cast<double>(kept) - 5000) < 320);
}

TEST_CASE("rows of positive_unitball are positive and add up to 1") {
  const std::vector<float> values = Fill(ConvolutionWeights("positive_unitball"), 1);
  for (size_t row = 0; row < 50; ++row) {
    double sum = 0;
    for (size_t i = 0; i < 500; ++i) {
      REQUIRE(values[row * 500 + i] >= 0);
      sum += static_cast<double>(values[row * 500 + i]);
    }
    REQUIRE(sum == Approx(1).epsilon(1e-5));
  }
}

TEST_CASE("bilinear kernels interpolate") {
  v1::ParameterBlob blob = ConvolutionWeights("bilinear");
  blob.clear_shape();
  for (int64_t dimension : {1, 2, 4, 4}) blob.add_shape(dimension);
  std::vector<float> values(32);
  REQUIRE_OK(FillRange(blob, 1, 0, values));
  // For kernel 4, that of an upsampling by 2.
  const float weights[] = {0.25f, 0.75f, 0.75f, 0.25f};
  for (size_t i = 0; i < 32; ++i) REQUIRE(values[i] == weights[i % 4] * weights[i / 4 % 4]);
}

TEST_CASE("a filler that does not exist or does not fit is refused by layer and name") {
  std::vector<float> out(1);
  REQUIRE_STATUS(FillRange(ConvolutionWeights("xaver"), 1, 0, out), absl::StatusCode::kInvalidArgument, "\"xaver\"");
  v1::ParameterBlob blob = ConvolutionWeights("bilinear");
  blob.set_shape(3, 6);
  REQUIRE_STATUS(FillRange(blob, 1, 0, out), absl::StatusCode::kInvalidArgument, "conv2");
  blob = ConvolutionWeights("gaussian");
  blob.clear_shape();
  blob.mutable_filler()->set_sparse(1);
  REQUIRE_STATUS(FillRange(blob, 1, 0, out), absl::StatusCode::kInvalidArgument, "conv2");
}

}  // namespace
}  // namespace samovar
