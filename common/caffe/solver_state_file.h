// Solver states: .solverstate files, the memory of a solver beside the model.
//
// A name that ends in .h5 is of a file in HDF5 (hdf5_model.h), any other of one in protobuf's binary format.
//
// Thread safety: functions may be called from any thread; two writers of the same path leave the file of one of them.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caffe.pb.h"
#include "common/storage/storage_table.h"

namespace samovar {

// Reads a state of this or of any other program; values of the history are in `data`, with the shape as the file has
// it (blob_proto.h). NOT_FOUND, PERMISSION_DENIED: it cannot be read. DATA_LOSS: it is not a whole state; the message
// names the file, and the blob or dataset. Whether the history fits a solver is for the caller to see.
absl::StatusOr<caffe::SolverState> ReadSolverState(const std::string& path, const StorageTable& storage);

// Writes the state whole or not at all (write_file.h). INVALID_ARGUMENT: a blob's values do not fit its shape, or the
// state is larger than its format can be.
absl::Status WriteSolverState(const std::string& path, const caffe::SolverState& state, const StorageTable& storage);

}  // namespace samovar
