// Models: .caffemodel files, which are nets with their parameter blobs, in protobuf's binary format or in HDF5.
//
// Thread safety: functions may be called from any thread; two writers of the same path leave the file of one of them.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caffe.pb.h"
#include "common/storage/storage_table.h"

namespace samovar {

// Writes the model whole or not at all (write_file.h): in HDF5 (hdf5_model.h) if the name ends in .h5, otherwise in
// binary. INVALID_ARGUMENT: larger than 2 GiB, which is protobuf's limit, or HDF5 cannot hold it; RESOURCE_EXHAUSTED:
// the disk is full; otherwise the system's error.
absl::Status WriteModel(const std::string& path, const caffe::NetParameter& model, const StorageTable& storage);

// Reads a model of this or of any other program, in either format, with any name. A net of Caffe's old form comes
// upgraded (upgrade_net.h). Values of blobs are in `data`, with the shape as the file has it (blob_proto.h). From HDF5
// come only names and blobs, and shared blobs once (hdf5_model.h).
//
// NOT_FOUND, PERMISSION_DENIED: it cannot be read. DATA_LOSS: it is not a whole model, or a blob does not hold as many
// values as its shape says; the message names the file, and the layer and blob or the dataset. INVALID_ARGUMENT: it is
// not a file, or its net has Caffe's first form (V0) or a mix of forms.
absl::StatusOr<caffe::NetParameter> ReadModel(const std::string& path, const StorageTable& storage);

}  // namespace samovar
