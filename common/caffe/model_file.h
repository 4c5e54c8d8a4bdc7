// Models: .caffemodel files, which are nets with their parameter blobs in protobuf's binary format.
//
// Thread safety: functions may be called from any thread; two writers of the same path leave the file of one of them.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caffe.pb.h"

namespace samovar {

// Writes the model so that at any moment, also after a crash of the machine, `path` is the old file or the whole new
// one: into a new file in the same directory, synchronised and then renamed. Makes the directory if it is missing.
// Blocks until the bytes are on the disk. INVALID_ARGUMENT: larger than 2 GiB, which is protobuf's limit;
// RESOURCE_EXHAUSTED: the disk is full; otherwise what the system says.
absl::Status WriteModel(const std::string& path, const caffe::NetParameter& model);

// Reads a model of this or of any other program. NOT_FOUND, PERMISSION_DENIED: it cannot be read. DATA_LOSS: it is not
// a whole model, or a blob does not hold as many values as its shape says; the message names file, layer and blob.
// UNIMPLEMENTED: it is a model in HDF5, or in Caffe's old form.
absl::StatusOr<caffe::NetParameter> ReadModel(const std::string& path);

}  // namespace samovar
