#include "common/data/hdf5_file.h"

#include <cstring>
#include <fstream>
#include <limits>

#include "tests/common/data/write_dataset.h"
#include "tests/common/data/write_hdf5.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

struct Fixture {
  std::unique_ptr<Hdf5File> Open(const std::vector<std::string>& names) {
    auto file = Hdf5File::Open(path, names);
    REQUIRE_OK(file);
    return *std::move(file);
  }

  // A file with these sets is refused when "data" and "label" of it are opened.
  void RequireRefused(const std::vector<Hdf5Set>& sets, absl::StatusCode code, const std::string& text) {
    WriteHdf5(path, sets);
    REQUIRE_STATUS(Hdf5File::Open(path, {"data", "label"}), code, path + ": data set \"");
    REQUIRE_STATUS(Hdf5File::Open(path, {"data", "label"}), code, text);
  }

  TempDir directory;
  std::string path = directory.File("set.h5");
};

std::vector<float> Row(const Hdf5File& file, size_t number, uint64_t row, size_t elements) {
  std::vector<float> out(elements, -1);
  REQUIRE_OK(file.ReadRow(number, row, out.data()));
  return out;
}

TEST_CASE_METHOD(Fixture, "rows are read in any order, of each data set that was named, in the order of names") {
  WriteHdf5(path, {{"label", {4}, {9, 8, 7, 6}}, {"data", {4, 2, 3}, Counting(24)}, {"unused", {1}, {0}}});
  const auto file = Open({"data", "label"});
  REQUIRE(file->rows() == 4);
  REQUIRE(file->row_shapes() == std::vector<std::vector<int64_t>>{{2, 3}, {}});
  for (const uint64_t row : {3, 0, 2, 2, 1}) {
    REQUIRE(Row(*file, 0, row, 6) == Counting(6, static_cast<float>(6 * row)));
    REQUIRE(Row(*file, 1, row, 1) == std::vector<float>{static_cast<float>(9 - row)});
  }
}

TEST_CASE_METHOD(Fixture,
                 "whole numbers, doubles, numbers of the other byte order and compressed pieces are read as floats") {
  for (const hid_t type : {H5T_STD_I8LE, H5T_STD_U16BE, H5T_STD_I64LE, H5T_NATIVE_DOUBLE, H5T_IEEE_F32BE}) {
    WriteHdf5(path, {{"data", {7, 5}, Counting(35), type}});
    REQUIRE(Row(*Open({"data"}), 0, 5, 5) == Counting(5, 25));
  }
  WriteHdf5(path, {{"data", {7, 5}, Counting(35), H5T_NATIVE_FLOAT, 2}});
  const auto file = Open({"data"});
  for (const uint64_t row : {6, 0, 3}) REQUIRE(Row(*file, 0, row, 5) == Counting(5, static_cast<float>(5 * row)));
}

TEST_CASE_METHOD(Fixture, "a data set may lie in a group") {
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  H5Gclose(H5Gcreate2(file, "train", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  H5Fclose(file);
  REQUIRE_STATUS(Hdf5File::Open(path, {"train"}), absl::StatusCode::kNotFound,
                 "data set \"train\": is not in the file");
  REQUIRE_STATUS(Hdf5File::Open(path, {"train/x"}), absl::StatusCode::kNotFound,
                 "data set \"train/x\": is not in the file");
}

TEST_CASE_METHOD(Fixture, "a file that is missing, or none of this format, or truncated, is refused by name") {
  REQUIRE_STATUS(Hdf5File::Open(path, {"data"}), absl::StatusCode::kNotFound, path + ": no such file");
  WriteBytes(path, "this is text");
  REQUIRE_STATUS(Hdf5File::Open(path, {"data"}), absl::StatusCode::kInvalidArgument, path + ": is not an HDF5 file");
  REQUIRE_STATUS(Hdf5File::Open(directory.path(), {"data"}), absl::StatusCode::kInvalidArgument,
                 directory.path() + " is a directory; name a file");
  WriteHdf5(path, {{"data", {100, 50}, Counting(5000)}});
  const std::string whole = ReadBytes(path);
  WriteBytes(path, whole.substr(0, whole.size() / 2));
  REQUIRE_STATUS(Hdf5File::Open(path, {"data"}), absl::StatusCode::kInvalidArgument, "damaged");
}

TEST_CASE_METHOD(Fixture, "data sets that are not rows of numbers are refused by name") {
  using absl::StatusCode;
  const Hdf5Set label{"label", {4}, {0, 1, 0, 1}};
  SECTION("missing") {
    RequireRefused({label}, StatusCode::kNotFound,
                   "data set \"data\": is not in the file; it must have one for each top");
  }
  SECTION("other rows") {
    RequireRefused({{"data", {5, 2}, Counting(10)}, label}, StatusCode::kInvalidArgument,
                   "data set \"label\": has 4 rows, but \"data\" has 5");
  }
  SECTION("a single number") {
    RequireRefused({{"data", {}, {1}}, label}, StatusCode::kInvalidArgument, "has no rows");
  }
  SECTION("no rows") { RequireRefused({{"data", {0, 3}, {}}, label}, StatusCode::kInvalidArgument, "has no rows"); }
  SECTION("rows of nothing") {
    RequireRefused({{"data", {4, 0}, {}}, label}, StatusCode::kInvalidArgument, "rows of no values");
  }
  SECTION("rows that are too large") {
    // Nothing is written, so the file stays small.
    RequireRefused({{"data", {4, 1 << 15, 1 << 14}, {}, H5T_NATIVE_FLOAT, 1}, label}, StatusCode::kInvalidArgument,
                   "more than");
  }
  SECTION("too many rows") {
    RequireRefused({{"data", {hsize_t{1} << 40}, {}, H5T_NATIVE_FLOAT, 1000}, label}, StatusCode::kInvalidArgument,
                   "1099511627776 rows");
  }
  SECTION("text") {
    const hid_t text = H5Tcopy(H5T_C_S1);
    H5Tset_size(text, 4);
    RequireRefused({{"data", {4}, {}, text}, label}, StatusCode::kInvalidArgument, "other values than numbers");
    H5Tclose(text);
  }
}

TEST_CASE_METHOD(Fixture, "a value that is not finite is refused by data set and row") {
  const double huge = 1e39;  // of a double, beyond floats
  for (const float value : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    std::vector<float> values = Counting(12);
    values[7] = value;
    WriteHdf5(path, {{"data", {4, 3}, values}});
    const auto file = Open({"data"});
    REQUIRE(Row(*file, 0, 1, 3) == Counting(3, 3));
    std::vector<float> out(3);
    REQUIRE_STATUS(file->ReadRow(0, 2, out.data()), absl::StatusCode::kDataLoss,
                   path + ": data set \"data\", row 2: has a value that is not finite; make the file anew without it");
  }
  WriteHdf5(path, {{"data", {1}, {}, H5T_NATIVE_DOUBLE}});
  const hid_t id = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  const hid_t set = H5Dopen2(id, "data", H5P_DEFAULT);
  H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, &huge);
  H5Dclose(set);
  H5Fclose(id);
  float out = 0;
  REQUIRE_STATUS(Open({"data"})->ReadRow(0, 0, &out), absl::StatusCode::kDataLoss, "not finite");
}

TEST_CASE_METHOD(Fixture, "a damaged piece is an error of the row that lies in it") {
  WriteHdf5(path, {{"data", {4, 1000}, Counting(4000), H5T_NATIVE_FLOAT, 1}});
  std::string bytes = ReadBytes(path);
  // The pieces are the end of the file; each has more than 1000 bytes.
  for (size_t i = bytes.size() - 1000; i < bytes.size(); ++i) bytes[i] = static_cast<char>(bytes[i] ^ 0x55);
  WriteBytes(path, bytes);
  const auto file = Open({"data"});
  std::vector<float> out(1000);
  REQUIRE_OK(file->ReadRow(0, 0, out.data()));
  REQUIRE_STATUS(file->ReadRow(0, 3, out.data()), absl::StatusCode::kDataLoss,
                 "row 3: cannot be read; the file is damaged");
}

TEST_CASE_METHOD(Fixture, "links to elsewhere and values in other files are not followed") {
  const std::string other = directory.File("other.h5");
  WriteHdf5(other, {{"data", {4}, {1, 2, 3, 4}}});
  std::ofstream(directory.File("raw"), std::ios::binary) << std::string(16, '\0');
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  REQUIRE(H5Lcreate_external(other.c_str(), "/data", file, "external", H5P_DEFAULT, H5P_DEFAULT) >= 0);
  REQUIRE(H5Lcreate_soft("/nowhere", file, "soft", H5P_DEFAULT, H5P_DEFAULT) >= 0);
  const hsize_t rows = 4;
  const hid_t space = H5Screate_simple(1, &rows, nullptr);
  const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
  REQUIRE(H5Pset_external(properties, directory.File("raw").c_str(), 0, 16) >= 0);
  H5Dclose(H5Dcreate2(file, "raw", H5T_NATIVE_FLOAT, space, H5P_DEFAULT, properties, H5P_DEFAULT));
  H5Pclose(properties);
  H5Sclose(space);
  REQUIRE(H5Fclose(file) >= 0);
  REQUIRE_STATUS(Hdf5File::Open(path, {"external"}), absl::StatusCode::kDataLoss,
                 path + ": data set \"external\": \"external\" is a link to elsewhere");
  REQUIRE_STATUS(Hdf5File::Open(path, {"soft"}), absl::StatusCode::kDataLoss, "\"soft\" is a link to elsewhere");
  REQUIRE_STATUS(Hdf5File::Open(path, {"raw"}), absl::StatusCode::kDataLoss, "\"raw\" has its values elsewhere");
}

TEST_CASE_METHOD(Fixture, "a file that the library would not come back from is refused before it sees it") {
  WriteHdf5(path, {{"data", {4, 5}, Counting(20)}});
  const std::string whole = ReadBytes(path);
  const auto refused = [&](size_t at, const std::string& bytes, const std::string& what) {
    WriteBytes(path, whole.substr(0, at) + bytes + whole.substr(at + bytes.size()));
    REQUIRE_STATUS(Hdf5File::Open(path, {"data"}), absl::StatusCode::kDataLoss, what);
  };
  // The first free block of the root group's names, which is made to follow itself. Behind "HEAP" stand a version and
  // three zeros, the names' size, the first free block and the names' place.
  const size_t heap = whole.find("HEAP");
  REQUIRE(heap != std::string::npos);
  uint64_t free_block = 0, names = 0;
  std::memcpy(&free_block, whole.data() + heap + 16, sizeof(free_block));
  std::memcpy(&names, whole.data() + heap + 24, sizeof(names));
  refused(names + free_block, std::string(reinterpret_cast<const char*>(&free_block), 8), "list of free space");
  // Half as many values as the shape says: the layout message has the address, and behind it the bytes of the values.
  const size_t size = whole.find(std::string("\x50\0\0\0\0\0\0\0", 8));
  REQUIRE(size != std::string::npos);
  refused(size, std::string("\x28", 1), "should have 80 bytes by its shape, and has 40");
}

TEST_CASE_METHOD(Fixture, "pieces that say to be larger than what they are pieces of are not read") {
  WriteHdf5(path, {{"data", {4, 5}, Counting(20), H5T_NATIVE_FLOAT, 2}});
  std::string bytes = ReadBytes(path);
  // Rows, columns and bytes of a value, 4 bytes each.
  const size_t at = bytes.find(std::string("\2\0\0\0\5\0\0\0\4\0\0\0", 12));
  REQUIRE(at != std::string::npos);
  bytes[at + 6] = '\1';
  WriteBytes(path, bytes);
  REQUIRE_STATUS(Hdf5File::Open(path, {"data"}), absl::StatusCode::kDataLoss, "\"data\" has pieces larger than itself");
}

TEST_CASE_METHOD(Fixture, "whichever byte of a file is wrong, its rows are read or refused") {
  WriteHdf5(path, {{"data", {3, 4}, Counting(12), H5T_NATIVE_FLOAT, 2}, {"label", {3}, {0, 1, 2}}});
  const std::string whole = ReadBytes(path);
  int refused = 0;
  std::vector<float> out(1 << 16);
  // Steps of a prime, so that all kinds of fields are met in a fraction of the time.
  for (size_t i = 0; i < whole.size(); i += 7) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 0xff);
    WriteBytes(path, damaged);
    const auto file = Hdf5File::Open(path, {"data", "label"});
    refused += !file.ok();
    if (!file.ok()) continue;
    for (uint64_t row = 0; row < std::min<uint64_t>((*file)->rows(), 3); ++row) {
      for (size_t set = 0; set < 2; ++set) {
        size_t elements = 1;
        for (const int64_t dim : (*file)->row_shapes()[set]) elements *= static_cast<size_t>(dim);
        if (elements <= out.size()) refused += !(*file)->ReadRow(set, row, out.data()).ok();
      }
    }
  }
  REQUIRE(refused > 10);
}

}  // namespace
}  // namespace samovar
