// Mean images: .binaryproto files, each one BlobProto.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caffe.pb.h"

namespace samovar {

// NOT_FOUND, PERMISSION_DENIED: it cannot be read. DATA_LOSS: not a BlobProto.
absl::StatusOr<caffe::BlobProto> ReadMeanFile(const std::string& path);

// Replaces the file as a whole.
absl::Status WriteMeanFile(const std::string& path, const caffe::BlobProto& mean);

}  // namespace samovar
