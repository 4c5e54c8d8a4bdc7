// Models' door to the HDF5 library: files of groups and datasets, read from memory and made in it.
//
// Paths are names with "/" between them, from the file's root, without one at the start: "data/conv1/0".
//
// Thread safety: the library need not be, so that calls of all objects wait for each other (hdf5_mutex.h); an object's
// methods may be called from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace samovar {

// The largest file that is read: as large as a machine's memory can be.
inline constexpr uint64_t kMaxHdf5Bytes = uint64_t{1} << 38;

// The bytes begin as a file in HDF5 does.
bool IsHdf5(absl::string_view bytes);

class Hdf5Archive {
 public:
  struct Entry {
    std::string name;
    bool is_group;
  };

  // Opens a file's bytes for reading. DATA_LOSS: they are not in HDF5, or cut short.
  static absl::StatusOr<std::unique_ptr<Hdf5Archive>> Open(const std::string& bytes);
  // Makes an empty one, for writing.
  static absl::StatusOr<std::unique_ptr<Hdf5Archive>> Create();
  ~Hdf5Archive();

  // All reading: DATA_LOSS names the group or dataset that is missing, of another kind, or damaged. Links to other
  // files, data in other files and types that code would have to be loaded for are not followed: they are damage here.

  // A group's entries in the order of their names; "" is the root.
  absl::StatusOr<std::vector<Entry>> List(const std::string& group) const;
  bool Has(const std::string& path) const;
  // The sizes of the axes of a dataset of floats or doubles whose values are there, 32 axes at most.
  absl::StatusOr<std::vector<int64_t>> ShapeOfFloats(const std::string& dataset) const;
  // All its values, row-major. `values` has as many elements as the shape says.
  absl::Status ReadFloats(const std::string& dataset, std::span<float> values) const;
  // A dataset of one whole number.
  absl::StatusOr<int64_t> ReadInt(const std::string& dataset) const;
  // A dataset of one text, up to its first 0.
  absl::StatusOr<std::string> ReadText(const std::string& dataset) const;

  // All writing: INVALID_ARGUMENT if the path is taken, or HDF5 has no such shape; groups on the way are made.

  // A group that is there already is fine.
  absl::Status MakeGroup(const std::string& group);
  absl::Status WriteFloats(const std::string& dataset, const std::vector<int64_t>& shape,
                           std::span<const float> values);
  absl::Status WriteInt(const std::string& dataset, int32_t value);
  absl::Status WriteText(const std::string& dataset, const std::string& text);

  // The file's bytes, the same for the same calls.
  absl::StatusOr<std::string> Bytes() const;

 private:
  class Impl;
  explicit Hdf5Archive(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace samovar
