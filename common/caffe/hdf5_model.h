// Models and solver states in HDF5, as Caffe lays them out.
//
// A model: a group "data" with a group for each layer, by name, of datasets "0", "1" and so on, its parameter blobs. A
// blob that layers share is in the first of them only. A layer whose name has a "/" is a group in a group. Layers come
// back in the order of their names, with names and blobs alone.
//
// A state: datasets "iter", "learned_net" and "current_step", and a group "history" of datasets "0", "1" and so on.
//
// Thread safety: functions may be called from any thread.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caffe.pb.h"

namespace samovar {

// DATA_LOSS names the group or dataset that is missing or wrong. A blob that the file leaves out, because a layer
// before has it, is an empty BlobProto if another follows it, and absent otherwise.
absl::StatusOr<caffe::NetParameter> DecodeHdf5Model(const std::string& bytes);
absl::StatusOr<caffe::SolverState> DecodeHdf5State(const std::string& bytes);

// Shared blobs are those whose param has the name of an earlier one. INVALID_ARGUMENT: a layer without a name, two of
// the same, a name that is no path, or a blob whose values do not fit its shape.
absl::StatusOr<std::string> EncodeHdf5Model(const caffe::NetParameter& model);
absl::StatusOr<std::string> EncodeHdf5State(const caffe::SolverState& state);

}  // namespace samovar
