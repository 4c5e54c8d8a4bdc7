// Solver states: .solverstate files, which hold a solver's iteration and history in protobuf's binary format.
//
// Thread safety: functions may be called from any thread; two writers of the same path leave the file of one of them.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caffe.pb.h"

namespace samovar {

// Reads a solver's state. NOT_FOUND, PERMISSION_DENIED: it cannot be read. DATA_LOSS: it is not a whole state, or a blob
// does not hold as many values as its shape says. UNIMPLEMENTED: it is in HDF5 (its name ends in .h5).
absl::StatusOr<caffe::SolverState> ReadSolverState(const std::string& path);

// Writes the state so that at any moment `path` is the old file or the whole new one, as WriteModel does; makes the
// directory if it is missing. UNIMPLEMENTED: the path ends in .h5.
absl::Status WriteSolverState(const std::string& path, const caffe::SolverState& state);

}  // namespace samovar
