#include "common/caffe/solver_state_file.h"

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

constexpr uint64_t kMaxStateBytes = std::numeric_limits<int32_t>::max();

absl::Status CheckFormat(const std::string& path) {
  if (!absl::EndsWith(path, ".h5")) return absl::OkStatus();
  return absl::UnimplementedError(absl::StrCat(path, ": states in HDF5 are not offered; use snapshot_format: BINARYPROTO"));
}

absl::Status WriteAndSync(const caffe::SolverState& state, int fd, const std::string& path) {
  google::protobuf::io::FileOutputStream output(fd);
  if (!state.SerializeToZeroCopyStream(&output) || !output.Flush()) {
    return ErrnoStatus(output.GetErrno() != 0 ? output.GetErrno() : EIO, "write", path);
  }
  return fsync(fd) == 0 ? absl::OkStatus() : ErrnoStatus(errno, "write", path);
}

absl::Status CheckBlobs(const caffe::SolverState& state) {
  for (int i = 0; i < state.history_size(); ++i) {
    const caffe::BlobProto& blob = state.history(i);
    const bool old = blob.has_num() || blob.has_channels() || blob.has_height() || blob.has_width();
    int64_t expected = 1;
    const auto multiply = [&expected](int64_t dim) {
      if (dim < 0 || __builtin_mul_overflow(expected, dim, &expected)) expected = 0;
    };
    for (int64_t dim : {blob.num(), blob.channels(), blob.height(), blob.width()}) {
      if (old) multiply(dim);
    }
    for (int64_t dim : blob.shape().dim()) {
      if (!old) multiply(dim);
    }
    const int held = blob.double_data_size() > 0 ? blob.double_data_size() : blob.data_size();
    if (held != expected) {
      return absl::DataLossError(absl::StrCat("history blob ", i, " holds ", held, " values; its shape says ", expected,
                                              "; the file is damaged"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<caffe::SolverState> ReadSolverState(const std::string& path) {
  SAMOVAR_RETURN_IF_ERROR(CheckFormat(path));
  SAMOVAR_ASSIGN_OR_RETURN(const int fd, OpenForReading(path, kMaxStateBytes));
  google::protobuf::io::FileInputStream input(fd);
  input.SetCloseOnDelete(true);
  caffe::SolverState state;
  if (!state.ParseFromZeroCopyStream(&input)) {
    if (input.GetErrno() != 0) return ErrnoStatus(input.GetErrno(), "read", path);
    return absl::DataLossError(absl::StrCat(path, ": this is not a .solverstate, or it is damaged"));
  }
  SAMOVAR_RETURN_IF_ERROR(Annotate(CheckBlobs(state), path));
  return state;
}

absl::Status WriteSolverState(const std::string& path, const caffe::SolverState& state) {
  SAMOVAR_RETURN_IF_ERROR(CheckFormat(path));
  if (state.ByteSizeLong() > kMaxStateBytes) {
    return absl::InvalidArgumentError(absl::StrCat("cannot write ", path, ": the state has ", state.ByteSizeLong(),
                                                   " bytes, and a .solverstate at most ", kMaxStateBytes));
  }
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  const std::string directory = parent.empty() ? "." : parent.string();
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return ErrnoStatus(error.value(), "make the directory", directory);

  static std::atomic<uint64_t> counter{0};
  const std::string temporary = absl::StrCat(path, ".", getpid(), ".", counter.fetch_add(1), ".tmp");
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0) return ErrnoStatus(errno, "write", temporary);
  absl::Cleanup remove = [&temporary] { unlink(temporary.c_str()); };
  absl::Status written = WriteAndSync(state, fd, path);
  if (close(fd) != 0 && written.ok()) written = ErrnoStatus(errno, "write", path);
  SAMOVAR_RETURN_IF_ERROR(written);
  if (rename(temporary.c_str(), path.c_str()) != 0) return ErrnoStatus(errno, "write", path);
  std::move(remove).Cancel();
  return absl::OkStatus();
}

}  // namespace samovar
