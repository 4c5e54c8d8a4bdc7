#include "common/model/filler.h"

#include <cmath>
#include <numbers>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
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

}  // namespace

absl::Status CheckFiller(const v1::ParameterBlob& blob) {
  const std::string& type = blob.filler().type();
  if (type == "gaussian" && blob.filler().sparse() >= 0) {
    return absl::UnimplementedError(absl::StrCat(BlobName(blob), ": sparse gaussian filling is not offered; remove \"sparse\""));
  }
  for (const char* known : {"constant", "uniform", "gaussian", "xavier", "msra"}) {
    if (type == known) return absl::OkStatus();
  }
  for (const char* caffe_only : {"positive_unitball", "bilinear"}) {
    if (type == caffe_only) {
      return absl::UnimplementedError(absl::StrCat(BlobName(blob), ": filler \"", type,
                                                   "\" is not offered; there are constant, uniform, gaussian, xavier and msra"));
    }
  }
  return absl::InvalidArgumentError(absl::StrCat(BlobName(blob), ": unknown filler \"", type,
                                                 "\"; there are constant, uniform, gaussian, xavier and msra"));
}

absl::Status FillRange(const v1::ParameterBlob& blob, uint64_t seed, uint64_t begin, std::span<float> out) {
  SAMOVAR_RETURN_IF_ERROR(CheckFiller(blob));
  const caffe::FillerParameter& filler = blob.filler();
  const uint64_t key = KeyOf(blob, seed);
  if (filler.type() == "constant") {
    for (float& value : out) value = filler.value();
  } else if (filler.type() == "uniform") {
    FillUniform(key, begin, filler.min(), filler.max(), out);
  } else if (filler.type() == "gaussian") {
    FillGaussian(key, begin, filler.mean(), filler.std(), out);
  } else if (filler.type() == "xavier") {
    const double scale = std::sqrt(3.0 / FanNumber(blob));
    FillUniform(key, begin, -scale, scale, out);
  } else {
    FillGaussian(key, begin, 0, std::sqrt(2.0 / FanNumber(blob)), out);
  }
  return absl::OkStatus();
}

}  // namespace samovar
