#include "common/caffe/mean_file.h"

#include <cerrno>
#include <cstdio>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/caffe/read_file.h"

namespace samovar {

absl::StatusOr<caffe::BlobProto> ReadMeanFile(const std::string& path) {
  constexpr uint64_t kMaxBytes = uint64_t{1} << 30;
  SAMOVAR_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, kMaxBytes));
  caffe::BlobProto mean;
  if (!mean.ParseFromString(bytes) || mean.data_size() == 0)
    return absl::DataLossError(absl::StrCat(path, ": is not a mean file (.binaryproto), or it is damaged"));
  return mean;
}

absl::Status WriteMeanFile(const std::string& path, const caffe::BlobProto& mean) {
  const std::string temporary = absl::StrCat(path, ".tmp");
  std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
  errno = 0;
  if (!mean.SerializeToOstream(&file) || !file.flush()) return ErrnoStatus(errno != 0 ? errno : EIO, "write", temporary);
  file.close();
  return std::rename(temporary.c_str(), path.c_str()) == 0 ? absl::OkStatus() : ErrnoStatus(errno, "write", path);
}

}  // namespace samovar
