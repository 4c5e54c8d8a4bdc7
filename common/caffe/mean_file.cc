#include "common/caffe/mean_file.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/caffe/blob_proto.h"
#include "common/storage/read_message.h"
#include "common/storage/write_file.h"

namespace samovar {
namespace {

constexpr size_t kAxesOfImage = 3;

// Brings the mean into the one form; DATA_LOSS if it is no mean.
absl::Status Normalise(caffe::BlobProto* mean) {
  std::vector<int64_t> shape = ShapeOf(*mean);
  if (shape.size() == kAxesOfImage) shape.insert(shape.begin(), 1);
  bool image = shape.size() == kAxesOfImage + 1 && shape[0] == 1;
  for (const int64_t dim : shape) image = image && dim >= 1 && dim <= std::numeric_limits<int32_t>::max();
  if (!image) {
    return absl::DataLossError(absl::StrCat("a mean image has a shape of 1 x channels x height x width, and this is [",
                                            absl::StrJoin(shape, " x "), "]; it is no mean image, or it is damaged"));
  }
  SAMOVAR_RETURN_IF_ERROR(CheckBlob("the mean image", mean));
  for (int i = 0; i < mean->data_size(); ++i) {
    if (std::isfinite(mean->data(i))) continue;
    return absl::DataLossError(absl::StrCat("value ", i, " of the mean image is ", mean->data(i),
                                            ", not a finite number; the file is damaged"));
  }
  mean->clear_shape();
  mean->set_num(1);
  mean->set_channels(static_cast<int32_t>(shape[1]));
  mean->set_height(static_cast<int32_t>(shape[2]));
  mean->set_width(static_cast<int32_t>(shape[3]));
  mean->clear_diff();
  mean->clear_double_diff();
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<caffe::BlobProto> ReadMeanFile(const std::string& path, const StorageTable& storage) {
  caffe::BlobProto mean;
  SAMOVAR_RETURN_IF_ERROR(ReadMessage(path, "a .binaryproto", &mean, storage));
  SAMOVAR_RETURN_IF_ERROR(Annotate(Normalise(&mean), path));
  return mean;
}

absl::Status WriteMeanFile(const std::string& path, const caffe::BlobProto& mean, const StorageTable& storage) {
  caffe::BlobProto normal = mean;
  if (const absl::Status image = Normalise(&normal); !image.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("cannot write ", path, ": ", image.message()));
  }
  return storage.PutMessage(path, normal);
}

}  // namespace samovar
