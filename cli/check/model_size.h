// Whether a job's files can be written, before anything is trained.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "caffe.pb.h"
#include "common/storage/read_message.h"
#include "samovar/v1/layout.pb.h"

namespace samovar {

// INVALID_ARGUMENT, with the size and what to write instead, if the .caffemodel or the .solverstate of this net would
// have more than `max_bytes`, the limit of their binary format. OK for solvers that write HDF5, which has no such
// bound.
absl::Status CheckModelSize(const caffe::SolverParameter& solver, const caffe::NetParameter& net,
                            const v1::ParameterLayout& layout, uint64_t max_bytes = kMaxMessageBytes);

}  // namespace samovar
