#include "worker/feed/encoded_sample.h"

#include "common/caffe/mean_file.h"
#include "common/import/image_encoder.h"
#include "tests/common/data/write_dataset.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

constexpr RecordShape kShape{3, 70, 53};

std::string Encoded(const RecordShape& shape, ImageFormat format) {
  const auto encoded = EncodeImage({shape, MakeDatum(shape, 0, 7).data()}, format);
  REQUIRE_OK(encoded);
  return *encoded;
}

Transformer Make(const caffe::TransformationParameter& param, const RecordShape& shape = kShape) {
  auto transformer = Transformer::Create(param, caffe::TRAIN, shape, StorageTable());
  REQUIRE_OK(transformer);
  return *std::move(transformer);
}

// Decoded whole, then transformed.
std::vector<float> Expected(const std::string& encoded, const Transformer& transformer, const Draw& draw) {
  Image image;
  REQUIRE_OK(DecodeImage(encoded, ImageChannels::kAsStored, &image));
  std::vector<float> out(transformer.output_shape().elements());
  REQUIRE_OK(transformer.Apply(image.shape, reinterpret_cast<const uint8_t*>(image.data.data()), draw, out.data()));
  return out;
}

void CheckDraws(const std::string& encoded, const Transformer& transformer) {
  EncodedSample sample;
  std::vector<float> out(transformer.output_shape().elements());
  for (uint64_t number = 0; number < 40; ++number) {
    const Draw draw = {1, 2, number};
    REQUIRE_OK(sample.Apply(encoded, ImageChannels::kAsStored, transformer, draw, out.data()));
    REQUIRE(out == Expected(encoded, transformer, draw));
  }
}

TEST_CASE("a sample from an encoded image has the bits of the decoded image, transformed") {
  TempDir directory;
  caffe::BlobProto mean;
  mean.set_num(1);
  mean.set_channels(kShape.channels);
  mean.set_height(kShape.height);
  mean.set_width(kShape.width);
  for (size_t i = 0; i < kShape.elements(); ++i) mean.add_data(static_cast<float>(i % 97) / 3);
  REQUIRE_OK(WriteMeanFile(directory.File("mean"), mean, StorageTable()));
  for (const ImageFormat format : {ImageFormat::kJpeg, ImageFormat::kPng}) {
    const std::string encoded = Encoded(kShape, format);
    caffe::TransformationParameter param;
    CheckDraws(encoded, Make(param));
    param.set_mirror(true);
    param.set_scale(0.017f);
    param.set_crop_size(37);
    CheckDraws(encoded, Make(param));
    for (const float value : {104.0f, 117.5f, 123.0f}) param.add_mean_value(value);
    CheckDraws(encoded, Make(param));
    param.clear_mean_value();
    param.set_mean_file(directory.File("mean"));
    CheckDraws(encoded, Make(param));
    param.clear_mean_file();
    const std::string gray = Encoded({1, 70, 53}, format);
    CheckDraws(gray, Make(param, {1, 70, 53}));
  }
}

TEST_CASE("an image of another shape, and a damaged one, are the errors of transforming and decoding") {
  const std::string jpeg = Encoded(kShape, ImageFormat::kJpeg);
  caffe::TransformationParameter param;
  std::vector<float> out(kShape.elements());
  EncodedSample sample;
  REQUIRE_STATUS(sample.Apply(jpeg, ImageChannels::kAsStored, Make(param, {3, 70, 54}), {}, out.data()),
                 absl::StatusCode::kInvalidArgument, "a record has shape 3x70x53; expected 3x70x54");
  REQUIRE_STATUS(sample.Apply(jpeg, ImageChannels::kGray, Make(param), {}, out.data()),
                 absl::StatusCode::kInvalidArgument, "a record has shape 1x70x53; expected 3x70x53");
  REQUIRE_STATUS(sample.Apply(jpeg.substr(0, jpeg.size() / 2), ImageChannels::kAsStored, Make(param), {}, out.data()),
                 absl::StatusCode::kDataLoss, "the JPEG is damaged");
}

}  // namespace
}  // namespace samovar
