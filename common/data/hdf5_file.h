// Hdf5File reads data sets of an HDF5 file row by row: axis 0 is the record. Of this room, the only door to <hdf5.h>.
//
// Thread safety: all methods may be called from any thread; they take turns, process-wide, since the library may be
// built for one thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace samovar {

class Hdf5File {
 public:
  // Opens the data sets of these names. For each that is stored in compressed pieces, up to `cache_bytes` are kept
  // unpacked, so that neighbouring rows need not be unpacked again; more costs memory. NOT_FOUND: no such file or data
  // set. INVALID_ARGUMENT: not an HDF5 file; a data set that has no rows, more than 2^32, other rows than the first
  // one, other values than numbers, or rows larger than kMaxRecordElements. DATA_LOSS: the file is damaged, or a data
  // set lies elsewhere: behind a link, or in another file.
  static absl::StatusOr<std::unique_ptr<Hdf5File>> Open(const std::string& path, const std::vector<std::string>& names,
                                                        size_t cache_bytes = 64 << 20);
  ~Hdf5File();
  Hdf5File(const Hdf5File&) = delete;
  Hdf5File& operator=(const Hdf5File&) = delete;

  // At least 1; of all data sets.
  uint64_t rows() const { return rows_; }
  // The shape of a row of each data set: its dimensions but the first.
  const std::vector<std::vector<int64_t>>& row_shapes() const { return row_shapes_; }

  // Writes a row of data set `number`, in the order of names, as floats. REQUIRES: row < rows()
  // DATA_LOSS: it cannot be read, or a value is not finite; the message names file, data set and row.
  absl::Status ReadRow(size_t number, uint64_t row, float* out) const;

 private:
  // `id`: the library's name of it.
  struct DataSet {
    std::string name;
    int64_t id = -1;
    size_t elements = 1;
  };

  explicit Hdf5File(std::string path) : path_(std::move(path)) {}
  absl::Status OpenDataSet(const std::string& name, size_t cache_bytes);
  // Checks the shape of the data set that was opened last.
  absl::Status CheckShape(const std::vector<uint64_t>& dimensions);

  const std::string path_;
  int64_t file_ = -1;
  uint64_t file_bytes_ = 0;
  std::vector<DataSet> sets_;
  uint64_t rows_ = 0;
  std::vector<std::vector<int64_t>> row_shapes_;
};

}  // namespace samovar
