// Mean images: .binaryproto files, one BlobProto each, as Caffe's compute_image_mean writes them.
//
// Thread safety: functions may be called from any thread.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caffe.pb.h"
#include "common/storage/storage_table.h"

namespace samovar {

// Reads a mean image of this or of any other program. In any form of the file, the result has num 1, channels, height
// and width, all at least 1, no `shape`, and as many finite floats in `data`. NOT_FOUND, PERMISSION_DENIED: it cannot
// be read. DATA_LOSS: it is no mean image, or damaged; the message names the file.
absl::StatusOr<caffe::BlobProto> ReadMeanFile(const std::string& path, const StorageTable& storage);

// Writes it in the old form, which every Caffe reads, whole or not at all (write_file.h). INVALID_ARGUMENT: it is not a
// mean image as ReadMeanFile gives it, in either form.
absl::Status WriteMeanFile(const std::string& path, const caffe::BlobProto& mean, const StorageTable& storage);

}  // namespace samovar
