#include "common/caffe/mean_file.h"

#include <fstream>
#include <iterator>
#include <limits>
#include <string>

#include "google/protobuf/text_format.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

caffe::BlobProto Blob(const std::string& text) {
  caffe::BlobProto blob;
  REQUIRE(google::protobuf::TextFormat::ParseFromString(text, &blob));
  return blob;
}

// The result of reading a file of any program with this blob.
absl::StatusOr<caffe::BlobProto> Read(const std::string& text) {
  TempDir dir;
  std::ofstream(dir.File("mean.binaryproto"), std::ios::binary) << Blob(text).SerializeAsString();
  return ReadMeanFile(dir.File("mean.binaryproto"), StorageTable());
}

void CheckRefused(const std::string& text, const std::string& what) {
  REQUIRE_STATUS(Read(text), absl::StatusCode::kDataLoss, what);
  REQUIRE_STATUS(Read(text), absl::StatusCode::kDataLoss, "mean.binaryproto: ");
}

}  // namespace

TEST_CASE("a mean image is read in every form as num 1, channels, height and width") {
  const std::string expected = Blob("num: 1 channels: 1 height: 1 width: 2 data: 1.5 data: -2").SerializeAsString();
  for (const char* text :
       {"num: 1 channels: 1 height: 1 width: 2 data: 1.5 data: -2", "shape { dim: [1, 1, 1, 2] } data: 1.5 data: -2",
        "shape { dim: [1, 1, 2] } data: 1.5 data: -2", "shape { dim: [1, 1, 2] } double_data: 1.5 double_data: -2",
        "num: 1 channels: 1 height: 1 width: 2 data: 1.5 data: -2 diff: 3"}) {
    INFO(text);
    const auto mean = Read(text);
    REQUIRE_OK(mean);
    CHECK(mean->SerializeAsString() == expected);
  }
}

TEST_CASE("a mean image is written in the old form, and read and written again the same") {
  TempDir dir;
  const std::string path = dir.File("deep/mean.binaryproto");
  REQUIRE_OK(WriteMeanFile(path, Blob("shape { dim: [2, 1, 1] } data: 1 data: 2"), StorageTable()));
  const auto bytes = [&] {
    std::ifstream in(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  const std::string written = bytes();
  // num (1), channels (2), height (3), width (4), data (5), packed
  CHECK(written == std::string("\x08\x01\x10\x02\x18\x01\x20\x01\x2a\x08\x00\x00\x80\x3f\x00\x00\x00\x40", 18));
  const auto mean = ReadMeanFile(path, StorageTable());
  REQUIRE_OK(mean);
  REQUIRE_OK(WriteMeanFile(path, *mean, StorageTable()));
  CHECK(bytes() == written);
}

TEST_CASE("what is no mean image is data loss that says why") {
  CheckRefused("data: 1", "1 x channels x height x width, and this is []");
  CheckRefused("num: 2 channels: 1 height: 1 width: 1 data: 1 data: 1", "this is [2 x 1 x 1 x 1]");
  CheckRefused("num: 1 channels: 0 height: 1 width: 1", "this is [1 x 0 x 1 x 1]");
  CheckRefused("shape { dim: [1, 1, 4294967296] } data: 1", "this is [1 x 1 x 1 x 4294967296]");
  CheckRefused("shape { dim: [2, 2] } data: [1, 2, 3, 4]", "this is [2 x 2]");
  CheckRefused("num: 1 channels: 3 height: 2147483647 width: 2147483647 data: 1", "the mean image holds 1 values");
  CheckRefused("shape { dim: [1, 1, 2] } data: 1 data: nan", "value 1 of the mean image is nan");
  CheckRefused("shape { dim: [1, 1, 1] } double_data: 1e300", "value 0 of the mean image is inf");
}

TEST_CASE("files that are no mean image, or are not there, are errors that name them") {
  TempDir dir;
  REQUIRE_STATUS(ReadMeanFile(dir.File("none"), StorageTable()), absl::StatusCode::kNotFound, dir.File("none"));
  std::ofstream(dir.File("text")) << "this is a text";
  REQUIRE_STATUS(ReadMeanFile(dir.File("text"), StorageTable()), absl::StatusCode::kDataLoss,
                 dir.File("text") + ": this is not a");
  REQUIRE_STATUS(WriteMeanFile(dir.File("x"), Blob("data: 1"), StorageTable()), absl::StatusCode::kInvalidArgument,
                 dir.File("x"));
}

}  // namespace samovar
