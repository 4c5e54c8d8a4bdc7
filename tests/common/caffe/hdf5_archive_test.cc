#include "common/caffe/hdf5_archive.h"

#include <hdf5.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/caffe/hdf5_model.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

// The bytes of a file that the library makes, in ways that the archive does not: with a group "data" and what `fill`
// adds to it.
std::string Made(const std::function<void(hid_t data)>& fill) {
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  REQUIRE(H5Pset_fapl_core(access, 4096, 0) >= 0);
  const hid_t file = H5Fcreate("made for a test", H5F_ACC_TRUNC, H5P_DEFAULT, access);
  REQUIRE(file >= 0);
  const hid_t data = H5Gcreate2(file, "data", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  fill(data);
  H5Gclose(data);
  REQUIRE(H5Fflush(file, H5F_SCOPE_GLOBAL) >= 0);
  std::string bytes(static_cast<size_t>(H5Fget_file_image(file, nullptr, 0)), '\0');
  REQUIRE(H5Fget_file_image(file, bytes.data(), bytes.size()) > 0);
  H5Fclose(file);
  H5Pclose(access);
  return bytes;
}

// A dataset "a/0" in the group.
void AddDataset(hid_t data, hid_t type, const std::vector<hsize_t>& dims, hid_t properties, const void* values) {
  const hid_t group = H5Gcreate2(data, "a", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  const hid_t space = H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr);
  const hid_t dataset = H5Dcreate2(group, "0", type, space, H5P_DEFAULT, properties, H5P_DEFAULT);
  REQUIRE(dataset >= 0);
  if (values != nullptr) REQUIRE(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
  H5Dclose(dataset);
  H5Sclose(space);
  H5Gclose(group);
}

hid_t Chunked(hsize_t chunk) {
  const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
  REQUIRE(H5Pset_chunk(properties, 1, &chunk) >= 0);
  return properties;
}

void CheckRefused(const std::string& bytes, const std::string& what) {
  REQUIRE_STATUS(DecodeHdf5Model(bytes), absl::StatusCode::kDataLoss, what);
}

}  // namespace

TEST_CASE("what is written to an archive is read from its bytes") {
  const auto made = Hdf5Archive::Create();
  REQUIRE_OK(made);
  const std::vector<float> values = {1, 2, 3, 4, 5, 6};
  REQUIRE_OK((*made)->WriteFloats("a/b/values", {2, 3}, values));
  REQUIRE_OK((*made)->WriteInt("number", -7));
  REQUIRE_OK((*made)->WriteText("text", "some words"));
  REQUIRE_OK((*made)->WriteText("a/none", ""));
  REQUIRE_OK((*made)->MakeGroup("a/b"));
  REQUIRE_STATUS((*made)->WriteInt("a/b", 1), absl::StatusCode::kInvalidArgument, "\"a/b\"");

  const auto bytes = (*made)->Bytes();
  REQUIRE_OK(bytes);
  const auto read = Hdf5Archive::Open(*bytes);
  REQUIRE_OK(read);
  const auto shape = (*read)->ShapeOfFloats("a/b/values");
  REQUIRE_OK(shape);
  CHECK(*shape == std::vector<int64_t>{2, 3});
  std::vector<float> back(6);
  REQUIRE_OK((*read)->ReadFloats("a/b/values", back));
  CHECK(back == values);
  CHECK(*(*read)->ReadInt("number") == -7);
  CHECK(*(*read)->ReadText("text") == "some words");
  CHECK(*(*read)->ReadText("a/none") == "");
  CHECK((*read)->Has("a/b"));
  CHECK(!(*read)->Has("a/c"));
  const auto entries = (*read)->List("");
  REQUIRE_OK(entries);
  REQUIRE(entries->size() == 3);
  CHECK((*entries)[0].name == "a");
  CHECK((*entries)[0].is_group);
  CHECK(!(*entries)[1].is_group);
}

TEST_CASE("two archives at once are two") {
  const auto one = Hdf5Archive::Create();
  const auto other = Hdf5Archive::Create();
  REQUIRE_OK((*one)->WriteInt("x", 1));
  REQUIRE_OK((*other)->WriteInt("x", 2));
  const auto first = Hdf5Archive::Open(*(*one)->Bytes());
  const auto second = Hdf5Archive::Open(*(*other)->Bytes());
  CHECK(*(*first)->ReadInt("x") == 1);
  CHECK(*(*second)->ReadInt("x") == 2);
}

TEST_CASE("doubles, and chunks with and without compression, are read as floats") {
  const std::vector<double> doubles = {1.5, -2};
  std::vector<float> floats(10000, 0.25f);
  for (const bool compressed : {false, true}) {
    const auto model = DecodeHdf5Model(Made([&](hid_t data) {
      const hid_t properties = Chunked(1000);
      if (compressed) REQUIRE(H5Pset_deflate(properties, 9) >= 0);
      AddDataset(data, H5T_NATIVE_FLOAT, {floats.size()}, properties, floats.data());
      H5Pclose(properties);
    }));
    REQUIRE_OK(model);
    REQUIRE(model->layer(0).blobs(0).data_size() == 10000);
    CHECK(model->layer(0).blobs(0).data(9999) == 0.25f);
  }
  const auto model =
      DecodeHdf5Model(Made([&](hid_t data) { AddDataset(data, H5T_NATIVE_DOUBLE, {2}, H5P_DEFAULT, doubles.data()); }));
  REQUIRE_OK(model);
  CHECK(model->layer(0).blobs(0).data(1) == -2);
}

TEST_CASE("links out of the file, or to elsewhere in it, are not followed") {
  CheckRefused(Made([](hid_t data) { H5Lcreate_external("other.h5", "/x", data, "a", H5P_DEFAULT, H5P_DEFAULT); }),
               "\"data/a\" is a link to elsewhere");
  CheckRefused(Made([](hid_t data) { H5Lcreate_soft("/data", data, "a", H5P_DEFAULT, H5P_DEFAULT); }),
               "\"data/a\" is a link to elsewhere");
}

TEST_CASE("groups that hold themselves end") {
  CheckRefused(Made([](hid_t data) {
                 for (const char* name : {"a", "b", "c"}) {
                   H5Lcreate_hard(data, ".", data, name, H5P_DEFAULT, H5P_DEFAULT);
                 }
               }),
               "has too many groups, or holds itself");
}

TEST_CASE("a list of free space that bites its tail is damage, not an endless loop") {
  const auto made = Hdf5Archive::Create();
  REQUIRE_OK((*made)->WriteInt("number", 1));
  std::string bytes = *(*made)->Bytes();
  const size_t heap = bytes.find("HEAP");
  REQUIRE(heap != std::string::npos);
  const auto number = [&bytes](size_t at) {
    return static_cast<size_t>(static_cast<unsigned char>(bytes[at])) +
           256 * static_cast<size_t>(static_cast<unsigned char>(bytes[at + 1]));
  };
  const size_t block = number(heap + 16);
  const size_t names = number(heap + 24);
  REQUIRE(block > 1);
  REQUIRE_OK(Hdf5Archive::Open(bytes));
  // The first free block is the next one after itself.
  for (int i = 0; i < 8; ++i) bytes[names + block + i] = bytes[heap + 16 + i];
  REQUIRE_STATUS(Hdf5Archive::Open(bytes), absl::StatusCode::kDataLoss, "list of free space");
}

TEST_CASE("values in another file, and shapes without values, are not read") {
  CheckRefused(Made([](hid_t data) {
                 const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
                 H5Pset_external(properties, "other.bin", 0, 16);
                 AddDataset(data, H5T_NATIVE_FLOAT, {4}, properties, nullptr);
                 H5Pclose(properties);
               }),
               "\"data/a/0\" has its values elsewhere");
  CheckRefused(Made([](hid_t data) {
                 const hid_t properties = Chunked(1024);
                 AddDataset(data, H5T_NATIVE_FLOAT, {hsize_t{1} << 40}, properties, nullptr);
                 H5Pclose(properties);
               }),
               "\"data/a/0\" should have 4398046511104 bytes by its shape, and has 0");
  CheckRefused(Made([](hid_t data) { AddDataset(data, H5T_NATIVE_FLOAT, {4}, H5P_DEFAULT, nullptr); }),
               "should have 16 bytes by its shape, and has 0");
}

}  // namespace samovar
