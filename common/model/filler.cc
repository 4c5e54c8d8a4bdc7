#include "common/model/filler.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/base/suggest.h"
#include "common/model/layout.h"

namespace samovar {
namespace {

std::string BlobName(const v1::ParameterBlob& blob) {
  return absl::StrCat("layer \"", blob.layer(), "\", blob ", blob.index());
}

// The n of xavier and msra.
double FanNumber(const v1::ParameterBlob& blob) {
  const double count = static_cast<double>(BlobElements(blob));
  // A blob without axes is one number.
  const double fan_in = blob.shape_size() > 0 ? count / static_cast<double>(blob.shape(0)) : count;
  const double fan_out = blob.shape_size() > 1 ? count / static_cast<double>(blob.shape(1)) : count;
  switch (blob.filler().variance_norm()) {
    case caffe::FillerParameter::FAN_OUT:
      return fan_out;
    case caffe::FillerParameter::AVERAGE:
      return (fan_in + fan_out) / 2;
    case caffe::FillerParameter::FAN_IN:
      break;
  }
  return fan_in;
}

uint64_t KeyOf(const v1::ParameterBlob& blob, uint64_t seed) {
  return DeriveKey(RandomStream::kFiller, {seed, blob.offset()});
}

// Element i takes word i % 4 of the generator's block i / 4.
void FillUniform(uint64_t key, uint64_t begin, double low, double high, std::span<float> out) {
  for (uint64_t i = 0; i < out.size(); ++i) {
    const uint64_t element = begin + i;
    const uint32_t bits = Philox(key, 0, element / 4)[element % 4];
    out[i] = static_cast<float>(low + (high - low) * UnitFloat(bits));
  }
}

// Elements 2j and 2j + 1 are the pair that Box and Muller's transform makes of words 0 and 1 of block j.
void FillGaussian(uint64_t key, uint64_t begin, double mean, double deviation, std::span<float> out) {
  for (uint64_t i = 0; i < out.size(); ++i) {
    const uint64_t element = begin + i;
    const auto bits = Philox(key, 0, element / 2);
    const double radius = std::sqrt(-2.0 * std::log(1.0 - static_cast<double>(bits[0]) * 0x1.0p-32));
    const double angle = 2.0 * std::numbers::pi * static_cast<double>(bits[1]) * 0x1.0p-32;
    const double unit = radius * (element % 2 == 0 ? std::cos(angle) : std::sin(angle));
    out[i] = static_cast<float>(mean + deviation * unit);
  }
}

// Keeps each value with the probability; whether, is drawn from a sequence of its own.
void MakeSparse(uint64_t key, uint64_t begin, double probability, std::span<float> values) {
  for (uint64_t i = 0; i < values.size(); ++i) {
    const uint64_t element = begin + i;
    const uint32_t bits = Philox(key, 1, element / 4)[element % 4];
    if (static_cast<double>(bits) * 0x1.0p-32 >= probability) values[i] = 0;
  }
}

// Each row, of axis 0, is divided by its sum.
void FillUnitBall(const v1::ParameterBlob& blob, uint64_t key, uint64_t begin, std::span<float> out) {
  const uint64_t rows = blob.shape_size() > 0 ? static_cast<uint64_t>(blob.shape(0)) : 1;
  const uint64_t width = BlobElements(blob) / rows;
  std::vector<float> row(width);
  for (uint64_t i = 0; i < out.size();) {
    const uint64_t first = (begin + i) / width * width;
    FillUniform(key, first, 0, 1, row);
    double sum = 0;
    for (const float value : row) sum += static_cast<double>(value);
    for (; i < out.size() && begin + i < first + width; ++i) {
      out[i] = static_cast<float>(static_cast<double>(row[begin + i - first]) / sum);
    }
  }
}

// The kernel with which a deconvolution interpolates.
void FillBilinear(const v1::ParameterBlob& blob, uint64_t begin, std::span<float> out) {
  const auto width = static_cast<uint64_t>(blob.shape(3));
  const auto f = static_cast<double>((width + 1) / 2);
  const double centre = static_cast<double>(width - 1) / (2 * f);
  for (uint64_t i = 0; i < out.size(); ++i) {
    const auto x = static_cast<double>((begin + i) % width);
    const auto y = static_cast<double>((begin + i) / width % width);
    out[i] = static_cast<float>((1 - std::abs(x / f - centre)) * (1 - std::abs(y / f - centre)));
  }
}

}  // namespace

absl::Status CheckFiller(const v1::ParameterBlob& blob) {
  const std::vector<std::string> known = {"constant", "uniform", "gaussian", "positive_unitball",
                                          "xavier",   "msra",    "bilinear"};
  const std::string& type = blob.filler().type();
  if (std::find(known.begin(), known.end(), type) == known.end()) {
    return absl::InvalidArgumentError(absl::StrCat("unknown filler \"", type, "\", expected one of ",
                                                   absl::StrJoin(known, ", "), DidYouMean(type, known)));
  }
  if (type == "bilinear" && (blob.shape_size() != 4 || blob.shape(2) != blob.shape(3))) {
    return absl::InvalidArgumentError(
        absl::StrCat("filler \"bilinear\" is for square kernels of 2 axes, not for a "
                     "blob of shape [",
                     absl::StrJoin(blob.shape(), ", "), "]"));
  }
  if (type == "gaussian" && blob.filler().sparse() >= 0 && blob.shape_size() == 0) {
    return absl::InvalidArgumentError("filler \"gaussian\" with sparse is for blobs with axes");
  }
  return absl::OkStatus();
}

absl::Status FillRange(const v1::ParameterBlob& blob, uint64_t seed, uint64_t begin, std::span<float> out) {
  SAMOVAR_RETURN_IF_ERROR(Annotate(CheckFiller(blob), BlobName(blob)));
  const caffe::FillerParameter& filler = blob.filler();
  const uint64_t key = KeyOf(blob, seed);
  if (filler.type() == "constant") {
    for (float& value : out) value = filler.value();
  } else if (filler.type() == "uniform") {
    FillUniform(key, begin, filler.min(), filler.max(), out);
  } else if (filler.type() == "gaussian") {
    FillGaussian(key, begin, filler.mean(), filler.std(), out);
    if (filler.sparse() >= 0)
      MakeSparse(key, begin, static_cast<double>(filler.sparse()) / static_cast<double>(blob.shape(0)), out);
  } else if (filler.type() == "positive_unitball") {
    FillUnitBall(blob, key, begin, out);
  } else if (filler.type() == "xavier") {
    const double scale = std::sqrt(3.0 / FanNumber(blob));
    FillUniform(key, begin, -scale, scale, out);
  } else if (filler.type() == "bilinear") {
    FillBilinear(blob, begin, out);
  } else {
    FillGaussian(key, begin, 0, std::sqrt(2.0 / FanNumber(blob)), out);
  }
  return absl::OkStatus();
}

}  // namespace samovar
