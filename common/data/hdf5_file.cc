#include "common/data/hdf5_file.h"

#include <hdf5.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cmath>
#include <filesystem>
#include <limits>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/fault_report.h"
#include "common/base/read_file.h"
#include "common/base/status_macros.h"
#include "common/caffe/hdf5_archive.h"
#include "common/caffe/hdf5_guards.h"
#include "common/caffe/hdf5_mutex.h"
#include "common/data/record_shape.h"

namespace samovar {
namespace {

// The size of the largest floating-point type.
constexpr size_t kMaxNumberBytes = 16;
// The first groups of a file stand there, and with them those that are damaged most easily.
constexpr size_t kBeginningBytes = size_t{1} << 20;
constexpr char kMissing[] = "is not in the file; it must have one for each top, of the top's name";
constexpr size_t kChunkCacheSlots = 12'421;
// As many as an IterationSchedule takes.
constexpr uint64_t kMaxRows = uint64_t{1} << 32;

// Held over every call of the library, disk I/O included.
class Library {
 public:
  Library() : lock_(&Hdf5Mutex()) { PrepareHdf5(); }

 private:
  absl::MutexLock lock_;
};

// The signature stands at 0, or behind a block of the user's: at 512, 1024, 2048 and so on.
absl::string_view FromSignature(absl::string_view beginning) {
  for (size_t at = 0; at < beginning.size(); at = at == 0 ? 512 : 2 * at) {
    if (IsHdf5(beginning.substr(at))) return beginning.substr(at);
  }
  return absl::string_view();
}

// The file's size. Errors of OpenForReading; INVALID_ARGUMENT: not HDF5; DATA_LOSS: the library would not come back
// from it.
absl::StatusOr<uint64_t> CheckBeginning(const std::string& path) {
  SAMOVAR_ASSIGN_OR_RETURN(const int file, OpenForReading(path, std::numeric_limits<uint64_t>::max()));
  const absl::Cleanup close_file = [file] { close(file); };
  struct stat info;
  std::string beginning(kBeginningBytes, '\0');
  const ssize_t got = pread(file, beginning.data(), beginning.size(), 0);
  if (got < 0 || fstat(file, &info) != 0) return ErrnoStatus(errno, "read", path);
  beginning.resize(static_cast<size_t>(got));
  const absl::string_view from_signature = FromSignature(beginning);
  if (from_signature.empty())
    return absl::InvalidArgumentError(absl::StrCat(path, ": is not an HDF5 file, or is damaged"));
  SAMOVAR_RETURN_IF_ERROR(Annotate(CheckHdf5Layout(from_signature), path));
  return static_cast<uint64_t>(info.st_size);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Hdf5File>> Hdf5File::Open(const std::string& path, const std::vector<std::string>& names,
                                                         size_t cache_bytes) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return absl::NotFoundError(absl::StrCat(path, ": no such file"));
  std::unique_ptr<Hdf5File> file(new Hdf5File(path));
  SAMOVAR_ASSIGN_OR_RETURN(file->file_bytes_, CheckBeginning(path));
  {
    const Library library;
    const FaultContext context(file->path_);
    file->file_ = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  }
  if (file->file_ < 0)
    return absl::InvalidArgumentError(absl::StrCat(path, ": is not an HDF5 file, or cannot be read, or is damaged"));
  for (const std::string& name : names) {
    SAMOVAR_RETURN_IF_ERROR(
        Annotate(file->OpenDataSet(name, cache_bytes), absl::StrCat(path, ": data set \"", name, "\"")));
  }
  return file;
}

Hdf5File::~Hdf5File() {
  const Library library;
  for (const DataSet& set : sets_) H5Dclose(set.id);
  if (file_ >= 0) H5Fclose(file_);
}

absl::Status Hdf5File::OpenDataSet(const std::string& name, size_t cache_bytes) {
  const Library library;
  const FaultContext context(path_);
  if (const absl::Status links = CheckHdf5Links(file_, name); !links.ok()) {
    return absl::StrContains(links.message(), "is missing") ? absl::NotFoundError(kMissing) : links;
  }
  const hid_t access = H5Pcreate(H5P_DATASET_ACCESS);
  H5Pset_chunk_cache(access, kChunkCacheSlots, cache_bytes, 1.0);
  const hid_t id = H5Dopen2(file_, name.c_str(), access);
  H5Pclose(access);
  if (id < 0) return absl::NotFoundError(kMissing);
  sets_.push_back({name, id, 1});

  const hid_t type = H5Dget_type(id);
  const absl::Status bits = CheckHdf5Type(name, type);
  const H5T_class_t kind = H5Tget_class(type);
  const size_t bytes = H5Tget_size(type);
  H5Tclose(type);
  if (kind != H5T_INTEGER && kind != H5T_FLOAT) return absl::InvalidArgumentError("has other values than numbers");
  // HDF5 1.10 trusts a damaged size, and reads beyond the end of the file.
  if (!std::has_single_bit(bytes) || bytes > kMaxNumberBytes) {
    return absl::InvalidArgumentError(absl::StrCat("has numbers of ", bytes, " bytes"));
  }
  SAMOVAR_RETURN_IF_ERROR(bits);

  const hid_t space = H5Dget_space(id);
  const int axes = H5Sget_simple_extent_ndims(space);
  std::vector<hsize_t> dimensions(static_cast<size_t>(axes > 0 ? axes : 0));
  if (axes > 0) H5Sget_simple_extent_dims(space, dimensions.data(), nullptr);
  H5Sclose(space);
  SAMOVAR_RETURN_IF_ERROR(CheckShape({dimensions.begin(), dimensions.end()}));
  return CheckHdf5Storage(name, id, dimensions, file_bytes_);
}

absl::Status Hdf5File::CheckShape(const std::vector<uint64_t>& dimensions) {
  if (dimensions.empty() || dimensions[0] == 0) return absl::InvalidArgumentError("has no rows");
  if (dimensions[0] > kMaxRows)
    return absl::InvalidArgumentError(absl::StrCat("has ", dimensions[0], " rows; at most ", kMaxRows, " can be read"));
  if (sets_.size() == 1) rows_ = dimensions[0];
  if (dimensions[0] != rows_) {
    return absl::InvalidArgumentError(absl::StrCat("has ", dimensions[0], " rows, but \"", sets_[0].name, "\" has ",
                                                   rows_, "; they must belong together"));
  }
  uint64_t elements = 1;
  for (size_t i = 1; i < dimensions.size(); ++i) {
    if (dimensions[i] == 0 || dimensions[i] > kMaxRecordElements / elements) {
      return absl::InvalidArgumentError(absl::StrCat("has rows of no values, or of more than ", kMaxRecordElements));
    }
    elements *= dimensions[i];
  }
  sets_.back().elements = elements;
  row_shapes_.emplace_back(dimensions.begin() + 1, dimensions.end());
  return absl::OkStatus();
}

absl::Status Hdf5File::ReadRow(size_t number, uint64_t row, float* out) const {
  const DataSet& set = sets_[number];
  const auto damaged = [&](absl::string_view what) {
    return absl::DataLossError(absl::StrCat(path_, ": data set \"", set.name, "\", row ", row, ": ", what));
  };
  {
    const Library library;
    const FaultContext context(path_);
    const size_t axes = row_shapes_[number].size() + 1;
    std::vector<hsize_t> start(axes, 0);
    std::vector<hsize_t> count(row_shapes_[number].begin(), row_shapes_[number].end());
    count.insert(count.begin(), 1);
    start[0] = row;
    const hid_t file_space = H5Dget_space(set.id);
    const hid_t memory_space = H5Screate_simple(static_cast<int>(axes), count.data(), nullptr);
    const absl::Cleanup close = [&] {
      H5Sclose(memory_space);
      H5Sclose(file_space);
    };
    if (H5Sselect_hyperslab(file_space, H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr) < 0 ||
        H5Dread(set.id, H5T_NATIVE_FLOAT, memory_space, file_space, H5P_DEFAULT, out) < 0) {
      return damaged("cannot be read; the file is damaged");
    }
  }
  for (size_t i = 0; i < set.elements; ++i) {
    if (!std::isfinite(out[i]))
      return damaged("has a value that is not finite; make the file anew without it, or without the row");
  }
  return absl::OkStatus();
}

}  // namespace samovar
