#include "common/caffe/hdf5_archive.h"

#include <hdf5.h>

#include <atomic>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/status_macros.h"
#include "common/caffe/hdf5_guards.h"
#include "common/caffe/hdf5_mutex.h"

namespace samovar {
namespace {

constexpr absl::string_view kSignature = "\x89HDF\r\n\x1a\n";
constexpr uint64_t kMaxEntries = 1 << 20;
constexpr size_t kMaxTextBytes = 64 << 10;
// The step by which the library grows a file in memory.
constexpr size_t kGrowthBytes = 1 << 20;

// Access to a file in memory, of its own.
Hdf5Handle MemoryAccess(const std::string* bytes) {
  Hdf5Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  if (!access.ok() || H5Pset_fapl_core(access.id(), kGrowthBytes, 0) < 0) return Hdf5Handle(-1, H5Pclose);
  if (bytes != nullptr && H5Pset_file_image(access.id(), const_cast<char*>(bytes->data()), bytes->size()) < 0) {
    return Hdf5Handle(-1, H5Pclose);
  }
  return access;
}

// The library takes two files of the same name for one.
std::string UniqueName() {
  static std::atomic<uint64_t> counter{0};
  return absl::StrCat("memory:", counter.fetch_add(1, std::memory_order_relaxed));
}

}  // namespace

class Hdf5Archive::Impl {
 public:
  Impl(Hdf5Handle file, uint64_t bytes) : file_(std::move(file)), bytes_(bytes) {}

  hid_t file() const { return file_.id(); }

  // A group or dataset, along links that stay in the file. DATA_LOSS: it is not there, or of another kind.
  absl::StatusOr<Hdf5Handle> OpenObject(const std::string& path, H5I_type_t type) const {
    SAMOVAR_RETURN_IF_ERROR(CheckHdf5Links(file_.id(), path));
    Hdf5Handle object(H5Oopen(file_.id(), path.empty() ? "/" : path.c_str(), H5P_DEFAULT), H5Oclose);
    if (!object.ok()) return Hdf5Damage(path, "cannot be opened");
    if (H5Iget_type(object.id()) != type) {
      return Hdf5Damage(path, type == H5I_GROUP ? "is not a group" : "is not a dataset");
    }
    return object;
  }

  // The shape of the dataset's values, which are in the file, of a type of this class.
  absl::StatusOr<std::vector<int64_t>> Shape(const std::string& path, hid_t dataset, H5T_class_t type_class) const {
    const Hdf5Handle type(H5Dget_type(dataset), H5Tclose);
    if (!type.ok()) return Hdf5Damage(path, "has no type");
    if (H5Tget_class(type.id()) != type_class) return Hdf5Damage(path, "holds values of another type");
    const Hdf5Handle space(H5Dget_space(dataset), H5Sclose);
    if (!space.ok()) return Hdf5Damage(path, "has no shape");
    const H5S_class_t kind = H5Sget_simple_extent_type(space.id());
    const int axes = H5Sget_simple_extent_ndims(space.id());
    if ((kind != H5S_SIMPLE && kind != H5S_SCALAR) || axes < 0 || axes > kMaxHdf5Axes) {
      return Hdf5Damage(path, absl::StrCat("has no shape of at most ", kMaxHdf5Axes, " axes"));
    }
    hsize_t dims[H5S_MAX_RANK] = {};
    if (H5Sget_simple_extent_dims(space.id(), dims, nullptr) < 0) return Hdf5Damage(path, "has no shape");
    SAMOVAR_RETURN_IF_ERROR(CheckHdf5Type(path, type.id()));
    SAMOVAR_RETURN_IF_ERROR(CheckHdf5Storage(path, dataset, std::span(dims, dims + axes), bytes_));
    return std::vector<int64_t>(dims, dims + axes);
  }

 private:
  const Hdf5Handle file_;
  const uint64_t bytes_;
};

namespace {

// Makes the groups on the way to a path, and writes no times, so that files of the same content are the same.
Hdf5Handle LinkProperties() {
  Hdf5Handle link(H5Pcreate(H5P_LINK_CREATE), H5Pclose);
  if (link.ok()) H5Pset_create_intermediate_group(link.id(), 1);
  return link;
}

Hdf5Handle DatasetProperties() {
  Hdf5Handle dataset(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  if (dataset.ok()) H5Pset_obj_track_times(dataset.id(), false);
  return dataset;
}

absl::Status WriteDataset(hid_t file, const std::string& path, hid_t type, const Hdf5Handle& space,
                          const void* values) {
  const Hdf5Handle link = LinkProperties();
  const Hdf5Handle properties = DatasetProperties();
  const Hdf5Handle dataset(H5Dcreate2(file, path.c_str(), type, space.id(), link.id(), properties.id(), H5P_DEFAULT),
                           H5Dclose);
  if (!dataset.ok() || H5Dwrite(dataset.id(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0) {
    return absl::InvalidArgumentError(absl::StrCat("HDF5 cannot hold \"", path, "\"; is there another of the name?"));
  }
  return absl::OkStatus();
}

}  // namespace

bool IsHdf5(absl::string_view bytes) { return absl::StartsWith(bytes, kSignature); }

Hdf5Archive::Hdf5Archive(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Hdf5Archive::~Hdf5Archive() {
  absl::MutexLock lock(&Hdf5Mutex());
  PrepareHdf5();
  impl_.reset();
}

absl::StatusOr<std::unique_ptr<Hdf5Archive>> Hdf5Archive::Open(const std::string& bytes) {
  absl::MutexLock lock(&Hdf5Mutex());
  PrepareHdf5();
  if (!IsHdf5(bytes)) return absl::DataLossError("this is not a file in HDF5");
  SAMOVAR_RETURN_IF_ERROR(CheckHdf5Layout(bytes));
  const Hdf5Handle access = MemoryAccess(&bytes);
  if (!access.ok()) return absl::ResourceExhaustedError("there is no memory for a file in HDF5");
  Hdf5Handle file(H5Fopen(UniqueName().c_str(), H5F_ACC_RDONLY, access.id()), H5Fclose);
  if (!file.ok()) return absl::DataLossError("this is not a whole file in HDF5; it is damaged");
  return std::unique_ptr<Hdf5Archive>(new Hdf5Archive(std::make_unique<Impl>(std::move(file), bytes.size())));
}

absl::StatusOr<std::unique_ptr<Hdf5Archive>> Hdf5Archive::Create() {
  absl::MutexLock lock(&Hdf5Mutex());
  PrepareHdf5();
  const Hdf5Handle access = MemoryAccess(nullptr);
  if (!access.ok()) return absl::InternalError("HDF5 cannot work in memory");
  Hdf5Handle file(H5Fcreate(UniqueName().c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.id()), H5Fclose);
  if (!file.ok()) return absl::InternalError("HDF5 cannot make a file in memory");
  return std::unique_ptr<Hdf5Archive>(new Hdf5Archive(std::make_unique<Impl>(std::move(file), 0)));
}

absl::StatusOr<std::vector<Hdf5Archive::Entry>> Hdf5Archive::List(const std::string& group) const {
  absl::MutexLock lock(&Hdf5Mutex());
  PrepareHdf5();
  SAMOVAR_ASSIGN_OR_RETURN(const Hdf5Handle handle, impl_->OpenObject(group, H5I_GROUP));
  H5G_info_t info;
  if (H5Gget_info(handle.id(), &info) < 0 || info.nlinks > kMaxEntries) return Hdf5Damage(group, "cannot be listed");
  std::vector<Entry> entries;
  for (hsize_t i = 0; i < info.nlinks; ++i) {
    char name[1024];
    const ssize_t length =
        H5Lget_name_by_idx(handle.id(), ".", H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof(name), H5P_DEFAULT);
    if (length <= 0 || length >= static_cast<ssize_t>(sizeof(name))) return Hdf5Damage(group, "cannot be listed");
    const std::string path = group.empty() ? name : absl::StrCat(group, "/", name);
    SAMOVAR_RETURN_IF_ERROR(CheckHdf5Links(impl_->file(), path));
    const Hdf5Handle object(H5Oopen(handle.id(), name, H5P_DEFAULT), H5Oclose);
    const H5I_type_t type = object.ok() ? H5Iget_type(object.id()) : H5I_BADID;
    if (type != H5I_GROUP && type != H5I_DATASET) return Hdf5Damage(path, "is neither a group nor a dataset");
    entries.push_back({name, type == H5I_GROUP});
  }
  return entries;
}

bool Hdf5Archive::Has(const std::string& path) const {
  absl::MutexLock lock(&Hdf5Mutex());
  PrepareHdf5();
  return CheckHdf5Links(impl_->file(), path).ok();
}

absl::StatusOr<std::vector<int64_t>> Hdf5Archive::ShapeOfFloats(const std::string& dataset) const {
  absl::MutexLock lock(&Hdf5Mutex());
  PrepareHdf5();
  SAMOVAR_ASSIGN_OR_RETURN(const Hdf5Handle handle, impl_->OpenObject(dataset, H5I_DATASET));
  return impl_->Shape(dataset, handle.id(), H5T_FLOAT);
}

absl::Status Hdf5Archive::ReadFloats(const std::string& dataset, std::span<float> values) const {
  absl::MutexLock lock(&Hdf5Mutex());
  PrepareHdf5();
  SAMOVAR_ASSIGN_OR_RETURN(const Hdf5Handle handle, impl_->OpenObject(dataset, H5I_DATASET));
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<int64_t> shape, impl_->Shape(dataset, handle.id(), H5T_FLOAT));
  uint64_t elements = 1;
  for (const int64_t dim : shape) elements *= static_cast<uint64_t>(dim);
  if (elements != values.size()) return absl::InternalError(absl::StrCat("room for another shape of ", dataset));
  if (elements == 0) return absl::OkStatus();
  if (H5Dread(handle.id(), H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0) {
    return Hdf5Damage(dataset, "cannot be read");
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> Hdf5Archive::ReadInt(const std::string& dataset) const {
  absl::MutexLock lock(&Hdf5Mutex());
  PrepareHdf5();
  SAMOVAR_ASSIGN_OR_RETURN(const Hdf5Handle handle, impl_->OpenObject(dataset, H5I_DATASET));
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<int64_t> shape, impl_->Shape(dataset, handle.id(), H5T_INTEGER));
  for (const int64_t dim : shape) {
    if (dim != 1) return Hdf5Damage(dataset, "is not a single number");
  }
  int64_t value = 0;
  if (H5Dread(handle.id(), H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, &value) < 0) {
    return Hdf5Damage(dataset, "cannot be read");
  }
  return value;
}

absl::StatusOr<std::string> Hdf5Archive::ReadText(const std::string& dataset) const {
  absl::MutexLock lock(&Hdf5Mutex());
  PrepareHdf5();
  SAMOVAR_ASSIGN_OR_RETURN(const Hdf5Handle handle, impl_->OpenObject(dataset, H5I_DATASET));
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<int64_t> shape, impl_->Shape(dataset, handle.id(), H5T_STRING));
  const Hdf5Handle type(H5Dget_type(handle.id()), H5Tclose);
  const size_t size = H5Tget_size(type.id());
  if (H5Tis_variable_str(type.id()) != 0 || size > kMaxTextBytes) {
    return Hdf5Damage(dataset, absl::StrCat("is not a text of at most ", kMaxTextBytes, " bytes"));
  }
  for (const int64_t dim : shape) {
    if (dim != 1) return Hdf5Damage(dataset, "is not a single text");
  }
  std::string text(size, '\0');
  if (H5Dread(handle.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, text.data()) < 0) {
    return Hdf5Damage(dataset, "cannot be read");
  }
  return text.substr(0, text.find('\0'));
}

absl::Status Hdf5Archive::MakeGroup(const std::string& group) {
  absl::MutexLock lock(&Hdf5Mutex());
  PrepareHdf5();
  if (impl_->OpenObject(group, H5I_GROUP).ok()) return absl::OkStatus();
  const Hdf5Handle link = LinkProperties();
  const Hdf5Handle made(H5Gcreate2(impl_->file(), group.c_str(), link.id(), H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
  if (made.ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("HDF5 cannot hold the group \"", group,
                                                 "\"; is there another of the "
                                                 "name?"));
}

absl::Status Hdf5Archive::WriteFloats(const std::string& dataset, const std::vector<int64_t>& shape,
                                      std::span<const float> values) {
  absl::MutexLock lock(&Hdf5Mutex());
  PrepareHdf5();
  const std::vector<hsize_t> dims(shape.begin(), shape.end());
  if (dims.size() > kMaxHdf5Axes) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", dataset, "\" has ", dims.size(), " axes, and HDF5 at most ", kMaxHdf5Axes));
  }
  const Hdf5Handle space(
      dims.empty() ? H5Screate(H5S_SCALAR) : H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr),
      H5Sclose);
  return WriteDataset(impl_->file(), dataset, H5T_NATIVE_FLOAT, space, values.data());
}

absl::Status Hdf5Archive::WriteInt(const std::string& dataset, int32_t value) {
  absl::MutexLock lock(&Hdf5Mutex());
  PrepareHdf5();
  const hsize_t one = 1;
  return WriteDataset(impl_->file(), dataset, H5T_NATIVE_INT32,
                      Hdf5Handle(H5Screate_simple(1, &one, nullptr), H5Sclose), &value);
}

absl::Status Hdf5Archive::WriteText(const std::string& dataset, const std::string& text) {
  absl::MutexLock lock(&Hdf5Mutex());
  PrepareHdf5();
  const Hdf5Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  if (!type.ok() || H5Tset_size(type.id(), text.size() + 1) < 0) return absl::InternalError("HDF5 has no text type");
  return WriteDataset(impl_->file(), dataset, type.id(), Hdf5Handle(H5Screate(H5S_SCALAR), H5Sclose), text.c_str());
}

absl::StatusOr<std::string> Hdf5Archive::Bytes() const {
  absl::MutexLock lock(&Hdf5Mutex());
  PrepareHdf5();
  if (H5Fflush(impl_->file(), H5F_SCOPE_GLOBAL) < 0) return absl::InternalError("HDF5 cannot finish a file");
  const ssize_t size = H5Fget_file_image(impl_->file(), nullptr, 0);
  if (size < 0) return absl::InternalError("HDF5 cannot show a file");
  std::string bytes(static_cast<size_t>(size), '\0');
  if (H5Fget_file_image(impl_->file(), bytes.data(), bytes.size()) != size) {
    return absl::InternalError("HDF5 cannot copy a file");
  }
  return bytes;
}

}  // namespace samovar
