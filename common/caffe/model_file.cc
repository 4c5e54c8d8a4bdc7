#include "common/caffe/model_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <system_error>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/caffe/read_file.h"
#include "google/protobuf/io/zero_copy_stream_impl.h"

namespace samovar {
namespace {

constexpr uint64_t kMaxModelBytes = std::numeric_limits<int32_t>::max();
constexpr absl::string_view kHdf5Signature = "\x89HDF\r\n\x1a\n";

std::string DirectoryOf(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

absl::Status WriteAndSync(const caffe::NetParameter& model, int fd, const std::string& path) {
  google::protobuf::io::FileOutputStream output(fd);
  if (!model.SerializeToZeroCopyStream(&output) || !output.Flush()) {
    return ErrnoStatus(output.GetErrno() != 0 ? output.GetErrno() : EIO, "write", path);
  }
  if (fsync(fd) != 0) return ErrnoStatus(errno, "write", path);
  return absl::OkStatus();
}

// So that a rename in it outlives a crash of the machine.
absl::Status SyncDirectory(const std::string& directory) {
  const int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, "open", directory);
  const int error = fsync(fd) == 0 ? 0 : errno;
  close(fd);
  // Some file systems cannot, and need not.
  return error == 0 || error == EINVAL ? absl::OkStatus() : ErrnoStatus(error, "synchronise", directory);
}

// A name beside `path` that nobody else uses.
std::string TemporaryName(const std::string& path) {
  static std::atomic<uint64_t> counter{0};
  return absl::StrCat(path, ".", getpid(), ".", counter.fetch_add(1, std::memory_order_relaxed), ".tmp");
}

// Values that the blob's shape asks for; below 0 if the shape is none.
int64_t ValuesOf(const caffe::BlobProto& blob) {
  const bool old = blob.has_num() || blob.has_channels() || blob.has_height() || blob.has_width();
  const int64_t old_dims[] = {blob.num(), blob.channels(), blob.height(), blob.width()};
  const int64_t* begin = old ? std::begin(old_dims) : blob.shape().dim().data();
  const int64_t* end = old ? std::end(old_dims) : begin + blob.shape().dim_size();
  int64_t values = 1;
  for (const int64_t* dim = begin; dim != end; ++dim) {
    if (*dim < 0 || __builtin_mul_overflow(values, *dim, &values)) return -1;
  }
  return values;
}

absl::Status CheckBlobs(const caffe::LayerParameter& layer) {
  for (int i = 0; i < layer.blobs_size(); ++i) {
    const caffe::BlobProto& blob = layer.blobs(i);
    const int64_t expected = ValuesOf(blob);
    const int64_t held = blob.double_data_size() > 0 ? blob.double_data_size() : blob.data_size();
    if (expected != held) {
      return absl::DataLossError(
          absl::StrCat("blob ", i, " of layer \"", layer.name(), "\" holds ", held, " values; its shape ",
                       expected < 0 ? "is impossible" : absl::StrCat("says ", expected), "; the file is damaged"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckModel(const caffe::NetParameter& model) {
  if (model.layers_size() > 0) {
    return absl::UnimplementedError(
        "the model is in Caffe's old (V1) form; upgrade it with caffe's upgrade_net_proto_binary");
  }
  if (model.layer_size() == 0) return absl::DataLossError("no layers; this is not a .caffemodel, or it is damaged");
  for (const caffe::LayerParameter& layer : model.layer()) SAMOVAR_RETURN_IF_ERROR(CheckBlobs(layer));
  return absl::OkStatus();
}

bool IsHdf5(int fd) {
  char start[8];
  return pread(fd, start, sizeof(start), 0) == static_cast<ssize_t>(sizeof(start)) &&
         absl::string_view(start, sizeof(start)) == kHdf5Signature;
}

}  // namespace

absl::Status WriteModel(const std::string& path, const caffe::NetParameter& model) {
  if (!model.IsInitialized()) {
    return absl::InvalidArgumentError(absl::StrCat("cannot write ", path, ": the model lacks ",
                                                   model.InitializationErrorString()));
  }
  if (model.ByteSizeLong() > kMaxModelBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot write ", path, ": the model has ", model.ByteSizeLong(),
                     " bytes, and a .caffemodel at most ", kMaxModelBytes));
  }
  if (absl::EndsWith(path, ".h5")) {
    return absl::UnimplementedError(absl::StrCat("cannot write ", path, ": models in HDF5 are not offered"));
  }
  const std::string directory = DirectoryOf(path);
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return ErrnoStatus(error.value(), "make the directory", directory);

  const std::string temporary = TemporaryName(path);
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0) return ErrnoStatus(errno, "write", temporary);
  absl::Cleanup remove = [&temporary] { unlink(temporary.c_str()); };
  absl::Status written = WriteAndSync(model, fd, path);
  if (close(fd) != 0 && written.ok()) written = ErrnoStatus(errno, "write", path);
  SAMOVAR_RETURN_IF_ERROR(written);
  if (rename(temporary.c_str(), path.c_str()) != 0) return ErrnoStatus(errno, "write", path);
  std::move(remove).Cancel();
  return SyncDirectory(directory);
}

absl::StatusOr<caffe::NetParameter> ReadModel(const std::string& path) {
  SAMOVAR_ASSIGN_OR_RETURN(const int fd, OpenForReading(path, kMaxModelBytes));
  google::protobuf::io::FileInputStream input(fd);
  input.SetCloseOnDelete(true);
  if (IsHdf5(fd)) {
    return absl::UnimplementedError(absl::StrCat(
        path, ": the model is in HDF5; save it with snapshot_format: BINARYPROTO, whose files end in .caffemodel"));
  }
  caffe::NetParameter model;
  // The partial form, since the other one logs what is missing.
  if (!model.ParsePartialFromZeroCopyStream(&input) || !model.IsInitialized()) {
    if (input.GetErrno() != 0) return ErrnoStatus(input.GetErrno(), "read", path);
    return absl::DataLossError(absl::StrCat(path, ": this is not a .caffemodel, or it is damaged"));
  }
  SAMOVAR_RETURN_IF_ERROR(Annotate(CheckModel(model), path));
  return model;
}

}  // namespace samovar
