#include "worker/feed/transformer.h"

#include <algorithm>
#include <limits>

#include "common/caffe/mean_file.h"
#include "tests/common/data/write_dataset.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

constexpr RecordShape kShape{2, 5, 4};

Transformer Make(const caffe::TransformationParameter& param, caffe::Phase phase = caffe::TRAIN) {
  auto transformer = Transformer::Create(param, phase, kShape, StorageTable());
  REQUIRE_OK(transformer);
  return *std::move(transformer);
}

std::vector<float> Apply(const Transformer& transformer, const caffe::Datum& datum, uint64_t sample = 0,
                         uint64_t iteration = 0, uint64_t seed = 1) {
  std::vector<float> out(transformer.output_shape().elements());
  REQUIRE_OK(transformer.Apply(datum, {seed, iteration, sample}, out.data()));
  return out;
}

// The transform, pixel by pixel.
std::vector<float> Expected(const caffe::Datum& datum, const std::vector<float>& means, float scale, int crop_height,
                            int crop_width, int top, int left, bool mirrored) {
  std::vector<float> out;
  for (int c = 0; c < kShape.channels; ++c) {
    for (int y = 0; y < crop_height; ++y) {
      for (int x = 0; x < crop_width; ++x) {
        const int column = left + (mirrored ? crop_width - 1 - x : x);
        const size_t index = static_cast<size_t>((c * kShape.height + top + y) * kShape.width + column);
        const auto pixel = static_cast<unsigned char>(datum.data()[index]);
        out.push_back((static_cast<float>(pixel) - means[static_cast<size_t>(c)]) * scale);
      }
    }
  }
  return out;
}

TEST_CASE("without parameters the bytes become floats from 0 to 255") {
  const caffe::Datum datum = MakeDatum(kShape, 0, 230);  // wraps from 255 to 0 inside
  const Transformer transformer = Make({});
  REQUIRE(transformer.output_shape() == kShape);
  REQUIRE(Apply(transformer, datum) == Expected(datum, {0, 0}, 1, 5, 4, 0, 0, false));
}

TEST_CASE("the mean is subtracted before the scale is applied") {
  const caffe::Datum datum = MakeDatum(kShape, 0, 230);
  caffe::TransformationParameter param;
  param.set_scale(0.00390625f);
  REQUIRE(Apply(Make(param), datum) == Expected(datum, {0, 0}, 0.00390625f, 5, 4, 0, 0, false));
  param.add_mean_value(10.5f);
  REQUIRE(Apply(Make(param), datum) == Expected(datum, {10.5f, 10.5f}, 0.00390625f, 5, 4, 0, 0, false));
  param.add_mean_value(99);
  REQUIRE(Apply(Make(param), datum) == Expected(datum, {10.5f, 99}, 0.00390625f, 5, 4, 0, 0, false));
}

TEST_CASE("float_data is transformed like data") {
  const caffe::Datum bytes = MakeDatum(kShape, 0, 100);
  caffe::Datum floats = bytes;
  floats.clear_data();
  for (const char c : bytes.data()) floats.add_float_data(static_cast<unsigned char>(c));
  caffe::TransformationParameter param;
  param.set_scale(0.1f);
  param.add_mean_value(3);
  param.set_mirror(true);
  param.set_crop_size(3);
  for (uint64_t sample = 0; sample < 20; ++sample) {
    REQUIRE(Apply(Make(param), floats, sample) == Apply(Make(param), bytes, sample));
  }
}

TEST_CASE("in TEST the crop is the centre, rounded to the top left, and nothing is mirrored") {
  const caffe::Datum datum = MakeDatum(kShape, 0, 0);
  caffe::TransformationParameter param;
  param.set_crop_size(3);
  param.set_mirror(true);
  const Transformer transformer = Make(param, caffe::TEST);
  REQUIRE(transformer.output_shape() == RecordShape{2, 3, 3});
  for (uint64_t sample = 0; sample < 20; ++sample) {
    REQUIRE(Apply(transformer, datum, sample) == Expected(datum, {0, 0}, 1, 3, 3, 1, 0, false));
  }
}

TEST_CASE("in TRAIN every crop appears, mirrored and not, about equally often") {
  const caffe::Datum datum = MakeDatum(kShape, 0, 0);
  caffe::TransformationParameter param;
  param.set_crop_size(3);
  param.set_mirror(true);
  const Transformer transformer = Make(param);
  constexpr int kSamples = 2400;
  std::vector<int> counts;
  for (int top = 0; top <= 2; ++top) {
    for (int left = 0; left <= 1; ++left) {
      for (const bool mirrored : {false, true}) {
        const std::vector<float> view = Expected(datum, {0, 0}, 1, 3, 3, top, left, mirrored);
        int count = 0;
        for (uint64_t sample = 0; sample < kSamples; ++sample) count += Apply(transformer, datum, sample) == view;
        counts.push_back(count);
      }
    }
  }
  int sum = 0;
  for (const int count : counts) {
    // 200 are expected; the standard deviation is 13.5.
    REQUIRE(count > 140);
    REQUIRE(count < 260);
    sum += count;
  }
  REQUIRE(sum == kSamples);
}

TEST_CASE("an uncropped sample is mirrored, or not, as a whole") {
  const caffe::Datum datum = MakeDatum(kShape, 0, 0);
  caffe::TransformationParameter param;
  param.set_mirror(true);
  const Transformer transformer = Make(param);
  const std::vector<float> plain = Expected(datum, {0, 0}, 1, 5, 4, 0, 0, false);
  const std::vector<float> mirrored = Expected(datum, {0, 0}, 1, 5, 4, 0, 0, true);
  int mirrors = 0;
  for (uint64_t sample = 0; sample < 100; ++sample) {
    const std::vector<float> out = Apply(transformer, datum, sample);
    REQUIRE((out == plain || out == mirrored));
    mirrors += out == mirrored;
  }
  REQUIRE(mirrors > 25);
  REQUIRE(mirrors < 75);
}

TEST_CASE("the draws depend on seed, iteration and sample, and on nothing else") {
  const caffe::Datum datum = MakeDatum(kShape, 0, 0);
  caffe::TransformationParameter param;
  param.set_crop_size(2);
  param.set_mirror(true);
  const auto views = [&](uint64_t seed, uint64_t iteration) {
    std::vector<std::vector<float>> all;
    for (uint64_t sample = 0; sample < 32; ++sample) all.push_back(Apply(Make(param), datum, sample, iteration, seed));
    return all;
  };
  REQUIRE(views(1, 1) == views(1, 1));
  REQUIRE(views(1, 1) != views(1, 2));
  REQUIRE(views(1, 1) != views(2, 1));
}

TEST_CASE("parameters that cannot be are named") {
  using absl::StatusCode;
  caffe::TransformationParameter param;
  const auto refused = [&](StatusCode code, const std::string& text) {
    REQUIRE_STATUS(Transformer::Create(param, caffe::TRAIN, kShape, StorageTable()), code, text);
  };
  SECTION("crop larger than the record") {
    param.set_crop_size(5);
    refused(StatusCode::kInvalidArgument, "crop_size is 5, but the records are 2x5x4");
  }
  SECTION("too many means") {
    for (int i = 0; i < 3; ++i) param.add_mean_value(0);
    refused(StatusCode::kInvalidArgument, "mean_value is given 3 times; give it once, or once for each of the 2");
  }
  SECTION("a record without values") {
    REQUIRE_STATUS(Transformer::Create(param, caffe::TRAIN, {0, 5, 4}, StorageTable()), StatusCode::kInvalidArgument,
                   "records have the shape 0x5x4; channels, height and width must be at least 1");
  }
  SECTION("scale that is not finite") {
    param.set_scale(std::numeric_limits<float>::infinity());
    refused(StatusCode::kInvalidArgument, "scale");
  }
  SECTION("mean that is not finite") {
    param.add_mean_value(std::numeric_limits<float>::quiet_NaN());
    refused(StatusCode::kInvalidArgument, "mean_value");
  }
}

// A mean image whose value i is first + i / 4.
std::string WriteMean(const TempDir& directory, const RecordShape& shape, float first) {
  caffe::BlobProto mean;
  mean.set_num(1);
  mean.set_channels(shape.channels);
  mean.set_height(shape.height);
  mean.set_width(shape.width);
  for (size_t i = 0; i < shape.elements(); ++i) mean.add_data(first + 0.25f * static_cast<float>(i));
  const std::string path = directory.File("mean.binaryproto");
  REQUIRE_OK(WriteMeanFile(path, mean, StorageTable()));
  return path;
}

// The transform with the mean of WriteMean(kShape, 10), pixel by pixel.
std::vector<float> ExpectedOfMean(const caffe::Datum& datum, float scale, int crop, int top, int left, bool mirrored) {
  std::vector<float> out;
  for (int c = 0; c < kShape.channels; ++c) {
    for (int y = 0; y < crop; ++y) {
      for (int x = 0; x < crop; ++x) {
        const int index = (c * kShape.height + top + y) * kShape.width + left + (mirrored ? crop - 1 - x : x);
        const auto pixel = static_cast<unsigned char>(datum.data()[static_cast<size_t>(index)]);
        out.push_back((static_cast<float>(pixel) - (10 + 0.25f * static_cast<float>(index))) * scale);
      }
    }
  }
  return out;
}

TEST_CASE("a mean image is subtracted value by value, before the scale") {
  const TempDir directory;
  const caffe::Datum datum = MakeDatum(kShape, 0, 230);
  caffe::TransformationParameter param;
  param.set_mean_file(WriteMean(directory, kShape, 10));
  param.set_scale(0.5f);
  const std::vector<float> out = Apply(Make(param), datum);
  for (size_t i = 0; i < kShape.elements(); ++i) {
    const auto pixel = static_cast<unsigned char>(datum.data()[i]);
    REQUIRE(out[i] == (static_cast<float>(pixel) - (10 + 0.25f * static_cast<float>(i))) * 0.5f);
  }
  caffe::Datum floats = datum;
  floats.clear_data();
  for (const char c : datum.data()) floats.add_float_data(static_cast<unsigned char>(c));
  REQUIRE(Apply(Make(param), floats) == out);
}

TEST_CASE("the mean of a cropped or mirrored sample is that of the pixels it takes") {
  const TempDir directory;
  const caffe::Datum datum = MakeDatum(kShape, 0, 0);
  caffe::TransformationParameter param;
  param.set_mean_file(WriteMean(directory, kShape, 10));
  param.set_crop_size(3);
  param.set_mirror(true);
  REQUIRE(Apply(Make(param, caffe::TEST), datum) == ExpectedOfMean(datum, 1, 3, 1, 0, false));
  std::vector<std::vector<float>> views;
  for (const int top : {0, 1, 2}) {
    for (const int left : {0, 1}) {
      for (const bool mirrored : {false, true}) views.push_back(ExpectedOfMean(datum, 1, 3, top, left, mirrored));
    }
  }
  const Transformer transformer = Make(param);
  std::vector<bool> seen(views.size());
  for (uint64_t sample = 0; sample < 300; ++sample) {
    const auto view = std::find(views.begin(), views.end(), Apply(transformer, datum, sample));
    REQUIRE(view != views.end());
    seen[static_cast<size_t>(view - views.begin())] = true;
  }
  REQUIRE(std::find(seen.begin(), seen.end(), false) == seen.end());
}

TEST_CASE("a mean file that cannot be read, or is not of the records' shape, is refused by name") {
  using absl::StatusCode;
  const TempDir directory;
  caffe::TransformationParameter param;
  param.set_mean_file(directory.File("mean.binaryproto"));
  const auto refused = [&](StatusCode code, const std::string& text) {
    REQUIRE_STATUS(Transformer::Create(param, caffe::TRAIN, kShape, StorageTable()), code,
                   "transform_param: mean_file: ");
    REQUIRE_STATUS(Transformer::Create(param, caffe::TRAIN, kShape, StorageTable()), code, text);
  };
  SECTION("missing") {
    refused(StatusCode::kNotFound, "mean.binaryproto: No such file or directory; make it with `samovar data mean`");
  }
  SECTION("garbage") {
    WriteBytes(param.mean_file(), "\xff\xff\xff");
    refused(StatusCode::kDataLoss, param.mean_file());
  }
  SECTION("another shape of as many values") {
    WriteMean(directory, {2, 4, 5}, 0);
    refused(StatusCode::kInvalidArgument,
            "the mean is 2x4x5, but the records are 2x5x4 (channels x height x width, before the crop)");
  }
  SECTION("the crop's shape") {
    WriteMean(directory, {2, 3, 3}, 0);
    param.set_crop_size(3);
    refused(StatusCode::kInvalidArgument, "the mean is 2x3x3");
  }
  SECTION("fewer values than its shape says") {
    caffe::BlobProto mean;
    REQUIRE(mean.ParseFromString(ReadBytes(WriteMean(directory, kShape, 0))));
    mean.mutable_data()->RemoveLast();
    WriteBytes(param.mean_file(), mean.SerializeAsString());
    refused(StatusCode::kDataLoss, "39 values");
  }
  SECTION("a value that is not finite") {
    caffe::BlobProto mean;
    REQUIRE(mean.ParseFromString(ReadBytes(WriteMean(directory, kShape, 0))));
    mean.set_data(3, std::numeric_limits<float>::quiet_NaN());
    WriteBytes(param.mean_file(), mean.SerializeAsString());
    refused(StatusCode::kDataLoss, "not a finite number");
  }
}

TEST_CASE("mean_file and mean_value exclude each other, and a mean_file records of other sizes") {
  const TempDir directory;
  caffe::TransformationParameter param;
  param.set_mean_file(WriteMean(directory, kShape, 0));
  param.set_crop_size(2);
  std::vector<float> out(8);
  REQUIRE_STATUS(Make(param).Apply(MakeDatum({2, 6, 6}, 0, 0), {1, 0, 0}, out.data()),
                 absl::StatusCode::kInvalidArgument, "the mean_file's; resize the records");
  param.add_mean_value(1);
  REQUIRE_STATUS(Transformer::Create(param, caffe::TRAIN, kShape, StorageTable()), absl::StatusCode::kInvalidArgument,
                 "mean_file and mean_value exclude each other; keep one of them");
}

TEST_CASE("a record of another shape, or without its values, is refused") {
  using absl::StatusCode;
  const Transformer transformer = Make({});
  std::vector<float> out(kShape.elements());
  REQUIRE_STATUS(transformer.Apply(MakeDatum({2, 4, 5}, 0, 0), {1, 0, 0}, out.data()), StatusCode::kInvalidArgument,
                 "2x4x5; expected 2x5x4");
  caffe::Datum datum = MakeDatum(kShape, 0, 0);
  datum.mutable_data()->pop_back();
  REQUIRE_STATUS(transformer.Apply(datum, {1, 0, 0}, out.data()), StatusCode::kInvalidArgument, "39 bytes");
  datum = MakeDatum(kShape, 0, 0);
  datum.set_encoded(true);
  REQUIRE_STATUS(transformer.Apply(datum, {1, 0, 0}, out.data()), StatusCode::kInvalidArgument, "encoded");
}

}  // namespace
}  // namespace samovar
