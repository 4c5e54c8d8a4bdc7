// Small HDF5 files for tests, written with the library itself.
#pragma once

#include <hdf5.h>

#include <string>
#include <vector>

#include "tests/support/catch.h"

namespace samovar {

struct Hdf5Set {
  std::string name;
  std::vector<hsize_t> dimensions;
  // Written as floats, which the library turns into `type`.
  std::vector<float> values;
  hid_t type = H5T_NATIVE_FLOAT;
  // More than 0: the data set is stored in compressed pieces of so many rows.
  hsize_t rows_a_piece = 0;
};

inline void WriteHdf5(const std::string& path, const std::vector<Hdf5Set>& sets) {
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  REQUIRE(file >= 0);
  for (const Hdf5Set& set : sets) {
    const hid_t space = H5Screate_simple(static_cast<int>(set.dimensions.size()), set.dimensions.data(), nullptr);
    const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    if (set.rows_a_piece > 0) {
      std::vector<hsize_t> piece = set.dimensions;
      piece[0] = set.rows_a_piece;
      REQUIRE(H5Pset_chunk(properties, static_cast<int>(piece.size()), piece.data()) >= 0);
      REQUIRE(H5Pset_deflate(properties, 6) >= 0);
    }
    const hid_t id = H5Dcreate2(file, set.name.c_str(), set.type, space, H5P_DEFAULT, properties, H5P_DEFAULT);
    REQUIRE(id >= 0);
    if (!set.values.empty())
      REQUIRE(H5Dwrite(id, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, set.values.data()) >= 0);
    H5Dclose(id);
    H5Pclose(properties);
    H5Sclose(space);
  }
  REQUIRE(H5Fclose(file) >= 0);
}

// first, first + 1, ...
inline std::vector<float> Counting(size_t count, float first = 0) {
  std::vector<float> values;
  for (size_t i = 0; i < count; ++i) values.push_back(first + static_cast<float>(i));
  return values;
}

}  // namespace samovar
