#include "common/caffe/blob_proto.h"

#include "absl/strings/str_cat.h"

namespace samovar {

bool HasOldShape(const caffe::BlobProto& blob) {
  return blob.has_num() || blob.has_channels() || blob.has_height() || blob.has_width();
}

std::vector<int64_t> ShapeOf(const caffe::BlobProto& blob) {
  if (HasOldShape(blob)) return {blob.num(), blob.channels(), blob.height(), blob.width()};
  return std::vector<int64_t>(blob.shape().dim().begin(), blob.shape().dim().end());
}

int64_t ElementsOf(const std::vector<int64_t>& shape) {
  int64_t elements = 1;
  for (const int64_t dim : shape) {
    if (dim < 0 || __builtin_mul_overflow(elements, dim, &elements)) return -1;
  }
  return elements;
}

absl::Status CheckBlob(const std::string& what, caffe::BlobProto* blob) {
  const int64_t expected = ElementsOf(ShapeOf(*blob));
  const int64_t held = blob->double_data_size() > 0 ? blob->double_data_size() : blob->data_size();
  if (expected != held) {
    return absl::DataLossError(absl::StrCat(what, " holds ", held, " values; its shape ",
                                            expected < 0 ? "is impossible" : absl::StrCat("says ", expected),
                                            "; the file is damaged"));
  }
  if (blob->double_data_size() > 0) {
    blob->mutable_data()->Clear();
    blob->mutable_data()->Reserve(blob->double_data_size());
    for (const double value : blob->double_data()) blob->add_data(static_cast<float>(value));
    blob->clear_double_data();
  }
  return absl::OkStatus();
}

}  // namespace samovar
