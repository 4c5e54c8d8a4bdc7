#include "common/caffe/hdf5_archive.h"

#include <hdf5.h>

#include <atomic>
#include <limits>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/status_macros.h"
#include "common/caffe/hdf5_mutex.h"

namespace samovar {
namespace {

constexpr absl::string_view kSignature = "\x89HDF\r\n\x1a\n";
constexpr int kMaxAxes = 32;
constexpr uint64_t kMaxEntries = 1 << 20;
constexpr size_t kMaxTextBytes = 64 << 10;
// What the library grows a file in memory by.
constexpr size_t kGrowthBytes = 1 << 20;
// No compressor of HDF5's makes more of less: deflate reaches 1032.
constexpr uint64_t kMaxCompression = 1100;

// Owns one of the library's ids.
class Handle {
 public:
  Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Handle& operator=(Handle&&) = delete;

  bool ok() const { return id_ >= 0; }
  hid_t id() const { return id_; }

 private:
  hid_t id_;
  herr_t (*const close_)(hid_t);
};

// Errors are returned, not printed, and nothing is loaded because a file asks for it. Both are per thread or process,
// and cheap.
void PrepareLibrary() {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  H5PLset_loading_state(0);
}

absl::Status Damaged(const std::string& path, absl::string_view what) {
  return absl::DataLossError(absl::StrCat("\"", path, "\" ", what, "; the file is damaged, or of another kind"));
}

// A number of 8 bytes, the least significant one first, as files in HDF5 have them.
uint64_t NumberAt(absl::string_view bytes, uint64_t offset) {
  uint64_t number = 0;
  for (int i = 7; i >= 0; --i) number = number << 8 | static_cast<unsigned char>(bytes[offset + i]);
  return number;
}

// Whether the list of free blocks in the names of a group ends: the library follows it without looking, for ever or
// beyond its end. `header` is where "HEAP" stands, with a version, the size of the names, the first block and the
// names' place behind it; a block is the next one and its own size, and 1 is none.
bool FreeListEnds(absl::string_view bytes, uint64_t header) {
  constexpr uint64_t kHeaderBytes = 32;
  constexpr uint64_t kBlockBytes = 16;
  constexpr uint64_t kNone = 1;
  if (header + kHeaderBytes > bytes.size()) return true;
  const uint64_t size = NumberAt(bytes, header + 8);
  const uint64_t place = NumberAt(bytes, header + 24);
  // Not a group's names, or some that the library finds to be outside of the file.
  if (size > bytes.size() || place > bytes.size() - size) return true;
  uint64_t block = NumberAt(bytes, header + 16);
  for (uint64_t blocks = 0; block != kNone; ++blocks) {
    if (size < kBlockBytes || block > size - kBlockBytes || blocks > size / kBlockBytes) return false;
    block = NumberAt(bytes, place + block);
  }
  return true;
}

absl::Status CheckLayout(absl::string_view bytes) {
  // Bytes of an offset and of a length, behind the signature and the version, of which the old ones have more numbers.
  constexpr size_t kVersion = 8;
  constexpr size_t kSuperblockBytes = 48;
  if (bytes.size() < kSuperblockBytes) return absl::DataLossError("this is not a whole file in HDF5; it is damaged");
  const size_t sizes = bytes[kVersion] < 2 ? 13 : 9;
  if (bytes[sizes] != 8 || bytes[sizes + 1] != 8) {
    return absl::DataLossError(
        "its offsets and lengths do not have 8 bytes; the file is damaged, or of a machine of 32 "
        "bits");
  }
  constexpr absl::string_view kHeap("HEAP\0", 5);
  for (size_t at = bytes.find(kHeap); at != absl::string_view::npos; at = bytes.find(kHeap, at + 1)) {
    if (FreeListEnds(bytes, at)) continue;
    return absl::DataLossError(absl::StrCat("a group's list of free space, at byte ", at,
                                            ", does not end; the file is "
                                            "damaged"));
  }
  return absl::OkStatus();
}

// Access to a file in memory, of its own.
Handle MemoryAccess(const std::string* bytes) {
  Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  if (!access.ok() || H5Pset_fapl_core(access.id(), kGrowthBytes, 0) < 0) return Handle(-1, H5Pclose);
  if (bytes != nullptr && H5Pset_file_image(access.id(), const_cast<char*>(bytes->data()), bytes->size()) < 0) {
    return Handle(-1, H5Pclose);
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
  Impl(Handle file, uint64_t bytes) : file_(std::move(file)), bytes_(bytes) {}

  hid_t file() const { return file_.id(); }

  // A group or dataset, along links that stay in the file. DATA_LOSS: it is not there, or of another kind.
  absl::StatusOr<Handle> OpenObject(const std::string& path, H5I_type_t type) const {
    SAMOVAR_RETURN_IF_ERROR(CheckLinks(path));
    Handle object(H5Oopen(file_.id(), path.empty() ? "/" : path.c_str(), H5P_DEFAULT), H5Oclose);
    if (!object.ok()) return Damaged(path, "cannot be opened");
    if (H5Iget_type(object.id()) != type) {
      return Damaged(path, type == H5I_GROUP ? "is not a group" : "is not a dataset");
    }
    return object;
  }

  absl::Status CheckLinks(const std::string& path) const {
    for (size_t end = path.find('/'); !path.empty(); end = path.find('/', end + 1)) {
      const std::string link = path.substr(0, end);
      H5L_info_t info;
      if (H5Lexists(file_.id(), link.c_str(), H5P_DEFAULT) <= 0) return Damaged(link, "is missing");
      if (H5Lget_info(file_.id(), link.c_str(), &info, H5P_DEFAULT) < 0) return Damaged(link, "cannot be read");
      if (info.type != H5L_TYPE_HARD) return Damaged(link, "is a link to elsewhere");
      if (end == std::string::npos) break;
    }
    return absl::OkStatus();
  }

  // The shape of the dataset's values, which are in the file, of a type of this class.
  absl::StatusOr<std::vector<int64_t>> Shape(const std::string& path, hid_t dataset, H5T_class_t type_class) const {
    const Handle type(H5Dget_type(dataset), H5Tclose);
    if (!type.ok()) return Damaged(path, "has no type");
    if (H5Tget_class(type.id()) != type_class) return Damaged(path, "holds values of another type");
    const Handle space(H5Dget_space(dataset), H5Sclose);
    if (!space.ok()) return Damaged(path, "has no shape");
    const H5S_class_t kind = H5Sget_simple_extent_type(space.id());
    const int axes = H5Sget_simple_extent_ndims(space.id());
    if ((kind != H5S_SIMPLE && kind != H5S_SCALAR) || axes < 0 || axes > kMaxAxes) {
      return Damaged(path, absl::StrCat("has no shape of at most ", kMaxAxes, " axes"));
    }
    hsize_t dims[H5S_MAX_RANK] = {};
    if (H5Sget_simple_extent_dims(space.id(), dims, nullptr) < 0) return Damaged(path, "has no shape");
    SAMOVAR_RETURN_IF_ERROR(CheckSize(path, dataset, H5Tget_size(type.id()), std::span(dims, dims + axes)));
    return std::vector<int64_t>(dims, dims + axes);
  }

 private:
  // That as many values as the shape says can be in the file, before anybody makes room for them.
  absl::Status CheckSize(const std::string& path, hid_t dataset, size_t type_bytes,
                         std::span<const hsize_t> dims) const {
    uint64_t size = type_bytes;
    for (const hsize_t dim : dims) {
      if (__builtin_mul_overflow(size, dim, &size) || size > std::numeric_limits<int64_t>::max()) {
        return Damaged(path, "has an impossible shape");
      }
    }
    const Handle made(H5Dget_create_plist(dataset), H5Pclose);
    if (!made.ok() || H5Pget_external_count(made.id()) != 0) return Damaged(path, "has its values elsewhere");
    const H5D_layout_t layout = H5Pget_layout(made.id());
    if (layout != H5D_COMPACT && layout != H5D_CONTIGUOUS && layout != H5D_CHUNKED) {
      return Damaged(path, "has its values elsewhere");
    }
    const uint64_t stored = H5Dget_storage_size(dataset);
    if (stored > bytes_) return Damaged(path, "is larger than the file");
    if (size > (layout == H5D_CHUNKED ? stored * kMaxCompression : stored)) {
      return Damaged(path, absl::StrCat("should have ", size, " bytes by its shape, and has ", stored));
    }
    return absl::OkStatus();
  }

  const Handle file_;
  const uint64_t bytes_;
};

namespace {

// What is made on the way to a path, and without times, so that files of the same content are the same.
Handle LinkProperties() {
  Handle link(H5Pcreate(H5P_LINK_CREATE), H5Pclose);
  if (link.ok()) H5Pset_create_intermediate_group(link.id(), 1);
  return link;
}

Handle DatasetProperties() {
  Handle dataset(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  if (dataset.ok()) H5Pset_obj_track_times(dataset.id(), false);
  return dataset;
}

absl::Status WriteDataset(hid_t file, const std::string& path, hid_t type, const Handle& space, const void* values) {
  const Handle link = LinkProperties();
  const Handle properties = DatasetProperties();
  const Handle dataset(H5Dcreate2(file, path.c_str(), type, space.id(), link.id(), properties.id(), H5P_DEFAULT),
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
  PrepareLibrary();
  impl_.reset();
}

absl::StatusOr<std::unique_ptr<Hdf5Archive>> Hdf5Archive::Open(const std::string& bytes) {
  absl::MutexLock lock(&Hdf5Mutex());
  PrepareLibrary();
  if (!IsHdf5(bytes)) return absl::DataLossError("this is not a file in HDF5");
  SAMOVAR_RETURN_IF_ERROR(CheckLayout(bytes));
  const Handle access = MemoryAccess(&bytes);
  if (!access.ok()) return absl::ResourceExhaustedError("there is no memory for a file in HDF5");
  Handle file(H5Fopen(UniqueName().c_str(), H5F_ACC_RDONLY, access.id()), H5Fclose);
  if (!file.ok()) return absl::DataLossError("this is not a whole file in HDF5; it is damaged");
  return std::unique_ptr<Hdf5Archive>(new Hdf5Archive(std::make_unique<Impl>(std::move(file), bytes.size())));
}

absl::StatusOr<std::unique_ptr<Hdf5Archive>> Hdf5Archive::Create() {
  absl::MutexLock lock(&Hdf5Mutex());
  PrepareLibrary();
  const Handle access = MemoryAccess(nullptr);
  if (!access.ok()) return absl::InternalError("HDF5 cannot work in memory");
  Handle file(H5Fcreate(UniqueName().c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.id()), H5Fclose);
  if (!file.ok()) return absl::InternalError("HDF5 cannot make a file in memory");
  return std::unique_ptr<Hdf5Archive>(new Hdf5Archive(std::make_unique<Impl>(std::move(file), 0)));
}

absl::StatusOr<std::vector<Hdf5Archive::Entry>> Hdf5Archive::List(const std::string& group) const {
  absl::MutexLock lock(&Hdf5Mutex());
  PrepareLibrary();
  SAMOVAR_ASSIGN_OR_RETURN(const Handle handle, impl_->OpenObject(group, H5I_GROUP));
  H5G_info_t info;
  if (H5Gget_info(handle.id(), &info) < 0 || info.nlinks > kMaxEntries) return Damaged(group, "cannot be listed");
  std::vector<Entry> entries;
  for (hsize_t i = 0; i < info.nlinks; ++i) {
    char name[1024];
    const ssize_t length =
        H5Lget_name_by_idx(handle.id(), ".", H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof(name), H5P_DEFAULT);
    if (length <= 0 || length >= static_cast<ssize_t>(sizeof(name))) return Damaged(group, "cannot be listed");
    const std::string path = group.empty() ? name : absl::StrCat(group, "/", name);
    SAMOVAR_RETURN_IF_ERROR(impl_->CheckLinks(path));
    const Handle object(H5Oopen(handle.id(), name, H5P_DEFAULT), H5Oclose);
    const H5I_type_t type = object.ok() ? H5Iget_type(object.id()) : H5I_BADID;
    if (type != H5I_GROUP && type != H5I_DATASET) return Damaged(path, "is neither a group nor a dataset");
    entries.push_back({name, type == H5I_GROUP});
  }
  return entries;
}

bool Hdf5Archive::Has(const std::string& path) const {
  absl::MutexLock lock(&Hdf5Mutex());
  PrepareLibrary();
  return impl_->CheckLinks(path).ok();
}

absl::StatusOr<std::vector<int64_t>> Hdf5Archive::ShapeOfFloats(const std::string& dataset) const {
  absl::MutexLock lock(&Hdf5Mutex());
  PrepareLibrary();
  SAMOVAR_ASSIGN_OR_RETURN(const Handle handle, impl_->OpenObject(dataset, H5I_DATASET));
  return impl_->Shape(dataset, handle.id(), H5T_FLOAT);
}

absl::Status Hdf5Archive::ReadFloats(const std::string& dataset, std::span<float> values) const {
  absl::MutexLock lock(&Hdf5Mutex());
  PrepareLibrary();
  SAMOVAR_ASSIGN_OR_RETURN(const Handle handle, impl_->OpenObject(dataset, H5I_DATASET));
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<int64_t> shape, impl_->Shape(dataset, handle.id(), H5T_FLOAT));
  uint64_t elements = 1;
  for (const int64_t dim : shape) elements *= static_cast<uint64_t>(dim);
  if (elements != values.size()) return absl::InternalError(absl::StrCat("room for another shape of ", dataset));
  if (elements == 0) return absl::OkStatus();
  if (H5Dread(handle.id(), H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0) {
    return Damaged(dataset, "cannot be read");
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> Hdf5Archive::ReadInt(const std::string& dataset) const {
  absl::MutexLock lock(&Hdf5Mutex());
  PrepareLibrary();
  SAMOVAR_ASSIGN_OR_RETURN(const Handle handle, impl_->OpenObject(dataset, H5I_DATASET));
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<int64_t> shape, impl_->Shape(dataset, handle.id(), H5T_INTEGER));
  for (const int64_t dim : shape) {
    if (dim != 1) return Damaged(dataset, "is not a single number");
  }
  int64_t value = 0;
  if (H5Dread(handle.id(), H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, &value) < 0) {
    return Damaged(dataset, "cannot be read");
  }
  return value;
}

absl::StatusOr<std::string> Hdf5Archive::ReadText(const std::string& dataset) const {
  absl::MutexLock lock(&Hdf5Mutex());
  PrepareLibrary();
  SAMOVAR_ASSIGN_OR_RETURN(const Handle handle, impl_->OpenObject(dataset, H5I_DATASET));
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<int64_t> shape, impl_->Shape(dataset, handle.id(), H5T_STRING));
  const Handle type(H5Dget_type(handle.id()), H5Tclose);
  const size_t size = H5Tget_size(type.id());
  if (H5Tis_variable_str(type.id()) != 0 || size > kMaxTextBytes) {
    return Damaged(dataset, absl::StrCat("is not a text of at most ", kMaxTextBytes, " bytes"));
  }
  for (const int64_t dim : shape) {
    if (dim != 1) return Damaged(dataset, "is not a single text");
  }
  std::string text(size, '\0');
  if (H5Dread(handle.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, text.data()) < 0) {
    return Damaged(dataset, "cannot be read");
  }
  return text.substr(0, text.find('\0'));
}

absl::Status Hdf5Archive::MakeGroup(const std::string& group) {
  absl::MutexLock lock(&Hdf5Mutex());
  PrepareLibrary();
  if (impl_->OpenObject(group, H5I_GROUP).ok()) return absl::OkStatus();
  const Handle link = LinkProperties();
  const Handle made(H5Gcreate2(impl_->file(), group.c_str(), link.id(), H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
  if (made.ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("HDF5 cannot hold the group \"", group,
                                                 "\"; is there another of the "
                                                 "name?"));
}

absl::Status Hdf5Archive::WriteFloats(const std::string& dataset, const std::vector<int64_t>& shape,
                                      std::span<const float> values) {
  absl::MutexLock lock(&Hdf5Mutex());
  PrepareLibrary();
  const std::vector<hsize_t> dims(shape.begin(), shape.end());
  if (dims.size() > kMaxAxes) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", dataset, "\" has ", dims.size(), " axes, and HDF5 at most ", kMaxAxes));
  }
  const Handle space(
      dims.empty() ? H5Screate(H5S_SCALAR) : H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr),
      H5Sclose);
  return WriteDataset(impl_->file(), dataset, H5T_NATIVE_FLOAT, space, values.data());
}

absl::Status Hdf5Archive::WriteInt(const std::string& dataset, int32_t value) {
  absl::MutexLock lock(&Hdf5Mutex());
  PrepareLibrary();
  const hsize_t one = 1;
  return WriteDataset(impl_->file(), dataset, H5T_NATIVE_INT32, Handle(H5Screate_simple(1, &one, nullptr), H5Sclose),
                      &value);
}

absl::Status Hdf5Archive::WriteText(const std::string& dataset, const std::string& text) {
  absl::MutexLock lock(&Hdf5Mutex());
  PrepareLibrary();
  const Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  if (!type.ok() || H5Tset_size(type.id(), text.size() + 1) < 0) return absl::InternalError("HDF5 has no text type");
  return WriteDataset(impl_->file(), dataset, type.id(), Handle(H5Screate(H5S_SCALAR), H5Sclose), text.c_str());
}

absl::StatusOr<std::string> Hdf5Archive::Bytes() const {
  absl::MutexLock lock(&Hdf5Mutex());
  PrepareLibrary();
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
