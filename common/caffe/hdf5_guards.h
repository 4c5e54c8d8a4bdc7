// Checks that both doors to the HDF5 library, that of models and that of records, make before the library sees a file:
// it trusts a damaged file, and follows links to any other file.
//
// Thread safety: all of these call the library but for CheckHdf5Layout; REQUIRES: Hdf5Mutex() is held.
#pragma once

#include <hdf5.h>

#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace samovar {

inline constexpr int kMaxHdf5Axes = 32;

// Owns one of the library's ids.
class Hdf5Handle {
 public:
  Hdf5Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  ~Hdf5Handle() {
    if (id_ >= 0) close_(id_);
  }
  Hdf5Handle(Hdf5Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Hdf5Handle& operator=(Hdf5Handle&&) = delete;

  bool ok() const { return id_ >= 0; }
  hid_t id() const { return id_; }

 private:
  hid_t id_;
  herr_t (*const close_)(hid_t);
};

// Errors are returned, not printed, and nothing is loaded because a file asks for it. Both are per thread or process,
// and cheap.
void PrepareHdf5();

// DATA_LOSS: "PATH: WHAT", for the group or dataset of this path.
absl::Status Hdf5Damage(const std::string& path, absl::string_view what);

// Checks a file's first bytes, from its signature on; give all if possible. DATA_LOSS: offsets or lengths of other
// sizes than 8 bytes, or a group whose list of free space does not end, which the library would follow for ever.
absl::Status CheckHdf5Layout(absl::string_view bytes);

// DATA_LOSS unless each name on the path is there, in the file itself.
absl::Status CheckHdf5Links(hid_t file, const std::string& path);

// DATA_LOSS unless the parts of a number of this type lie within it. OK for other types.
absl::Status CheckHdf5Type(const std::string& path, hid_t type);

// DATA_LOSS unless as many values as the shape says can be in a file of `file_bytes`, in this file itself, in pieces of
// a possible size: to be called before memory is allocated for them.
absl::Status CheckHdf5Storage(const std::string& path, hid_t dataset, std::span<const hsize_t> dims,
                              uint64_t file_bytes);

}  // namespace samovar
