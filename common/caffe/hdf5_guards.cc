#include "common/caffe/hdf5_guards.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace samovar {
namespace {

// No compressor of HDF5's makes more of less: deflate reaches 1032.
constexpr uint64_t kMaxCompression = 1100;
// The library goes through all pieces that a read may touch.
constexpr uint64_t kMaxPieces = 1 << 24;

// A number of 8 bytes, the least significant one first, as files in HDF5 have them.
uint64_t NumberAt(absl::string_view bytes, uint64_t offset) {
  uint64_t number = 0;
  for (int i = 7; i >= 0; --i) number = number << 8 | static_cast<unsigned char>(bytes[offset + i]);
  return number;
}

// Whether the list of free blocks in the names of a group ends: the library follows it without looking, for ever or
// beyond its end. `header` is where "HEAP" stands, with a version, the size of the names, the first block and the
// names' place behind it; a block has the place of the next one and its own size; place 1 means that there is no next
// one.
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

// Checks that the values lie in pieces that the library can find, and that are as large as it expects.
absl::Status CheckPieces(const std::string& path, hid_t dataset, hid_t made, size_t type_bytes,
                         std::span<const hsize_t> dims) {
  hsize_t piece[H5S_MAX_RANK] = {};
  const int axes = H5Pget_chunk(made, H5S_MAX_RANK, piece);
  if (axes < 0 || static_cast<size_t>(axes) != dims.size()) return Hdf5Damage(path, "has pieces of another shape");
  hsize_t most[H5S_MAX_RANK] = {};
  const Hdf5Handle space(H5Dget_space(dataset), H5Sclose);
  if (!space.ok() || H5Sget_simple_extent_dims(space.id(), nullptr, most) != axes)
    return Hdf5Damage(path, "has no shape");
  uint64_t bytes = type_bytes;
  uint64_t pieces = 1;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (piece[i] == 0 || __builtin_mul_overflow(bytes, piece[i], &bytes) ||
        bytes > std::numeric_limits<uint32_t>::max()) {
      return Hdf5Damage(path, "has pieces of an impossible size");
    }
    // The library makes none, and reads beyond the end of such a piece.
    if (most[i] != H5S_UNLIMITED && piece[i] > most[i]) {
      return Hdf5Damage(path, "has pieces larger than itself");
    }
    if (__builtin_mul_overflow(pieces, (dims[i] + piece[i] - 1) / piece[i], &pieces) || pieces > kMaxPieces) {
      return Hdf5Damage(path, absl::StrCat("has more than ", kMaxPieces, " pieces"));
    }
  }
  const bool as_stored = H5Pget_nfilters(made) == 0;
  const uint64_t stored = H5Dget_storage_size(dataset);
  if (as_stored && stored % bytes != 0) {
    return Hdf5Damage(path, absl::StrCat("has pieces of ", bytes, " bytes, and ", stored, " in all"));
  }
  return absl::OkStatus();
}

}  // namespace

void PrepareHdf5() {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  H5PLset_loading_state(0);
}

absl::Status Hdf5Damage(const std::string& path, absl::string_view what) {
  return absl::DataLossError(absl::StrCat("\"", path, "\" ", what, "; the file is damaged, or of another kind"));
}

absl::Status CheckHdf5Layout(absl::string_view bytes) {
  // Bytes of an offset and of a length, behind the signature and the version numbers; old versions have more of these.
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

absl::Status CheckHdf5Links(hid_t file, const std::string& path) {
  for (size_t end = path.find('/'); !path.empty(); end = path.find('/', end + 1)) {
    const std::string link = path.substr(0, end);
    H5L_info_t info;
    if (H5Lexists(file, link.c_str(), H5P_DEFAULT) <= 0) return Hdf5Damage(link, "is missing");
    if (H5Lget_info(file, link.c_str(), &info, H5P_DEFAULT) < 0) return Hdf5Damage(link, "cannot be read");
    if (info.type != H5L_TYPE_HARD) return Hdf5Damage(link, "is a link to elsewhere");
    if (end == std::string::npos) break;
  }
  return absl::OkStatus();
}

absl::Status CheckHdf5Type(const std::string& path, hid_t type) {
  const H5T_class_t kind = H5Tget_class(type);
  if (kind != H5T_INTEGER && kind != H5T_FLOAT) return absl::OkStatus();
  const size_t bits = 8 * H5Tget_size(type);
  const size_t used = H5Tget_precision(type);
  const int offset = H5Tget_offset(type);
  const auto within = [](size_t at, size_t count, size_t all) { return at <= all && count <= all - at; };
  const absl::Status damaged = Hdf5Damage(path, "has numbers whose bits lie outside of them");
  if (used == 0 || offset < 0 || !within(static_cast<size_t>(offset), used, bits)) return damaged;
  if (kind == H5T_INTEGER) return absl::OkStatus();
  size_t sign = 0, exponent = 0, exponent_bits = 0, mantissa = 0, mantissa_bits = 0;
  if (H5Tget_fields(type, &sign, &exponent, &exponent_bits, &mantissa, &mantissa_bits) < 0) return damaged;
  constexpr size_t kMostExponentBits = 32;
  const bool inside =
      within(sign, 1, bits) && within(exponent, exponent_bits, bits) && within(mantissa, mantissa_bits, bits);
  return inside && exponent_bits <= kMostExponentBits ? absl::OkStatus() : damaged;
}

absl::Status CheckHdf5Storage(const std::string& path, hid_t dataset, std::span<const hsize_t> dims,
                              uint64_t file_bytes) {
  const Hdf5Handle type(H5Dget_type(dataset), H5Tclose);
  if (!type.ok()) return Hdf5Damage(path, "has no type");
  const size_t type_bytes = H5Tget_size(type.id());
  uint64_t size = type_bytes;
  for (const hsize_t dim : dims) {
    if (__builtin_mul_overflow(size, dim, &size) || size > std::numeric_limits<int64_t>::max()) {
      return Hdf5Damage(path, "has an impossible shape");
    }
  }
  const Hdf5Handle made(H5Dget_create_plist(dataset), H5Pclose);
  if (!made.ok() || H5Pget_external_count(made.id()) != 0) return Hdf5Damage(path, "has its values elsewhere");
  const H5D_layout_t layout = H5Pget_layout(made.id());
  if (layout != H5D_COMPACT && layout != H5D_CONTIGUOUS && layout != H5D_CHUNKED) {
    return Hdf5Damage(path, "has its values elsewhere");
  }
  const uint64_t stored = H5Dget_storage_size(dataset);
  if (stored > file_bytes) return Hdf5Damage(path, "is larger than the file");
  uint64_t most = stored;
  if (layout == H5D_CHUNKED && __builtin_mul_overflow(stored, kMaxCompression, &most))
    most = std::numeric_limits<uint64_t>::max();
  if (size > most) {
    return Hdf5Damage(path, absl::StrCat("should have ", size, " bytes by its shape, and has ", stored));
  }
  return layout == H5D_CHUNKED ? CheckPieces(path, dataset, made.id(), type_bytes, dims) : absl::OkStatus();
}

}  // namespace samovar
