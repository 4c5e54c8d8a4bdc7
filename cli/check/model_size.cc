#include "cli/check/model_size.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/model/solver_history.h"

namespace samovar {
namespace {

// A blob's tags, lengths and shape.
constexpr uint64_t kBytesBesideValues = 64;

uint64_t BytesOf(const v1::ParameterBlob& blob) {
  uint64_t elements = 1;
  for (const int64_t dim : blob.shape()) elements *= static_cast<uint64_t>(dim);
  return elements * sizeof(float) + kBytesBesideValues;
}

absl::Status TooLarge(const char* what, uint64_t bytes, uint64_t parameters, uint64_t max_bytes) {
  return absl::InvalidArgumentError(absl::StrCat("the ", what, " of ", parameters, " parameters would have ", bytes,
                                                 " bytes, and the format can have at most ", max_bytes,
                                                 "; write snapshot_format: HDF5 in the solver"));
}

}  // namespace

absl::Status CheckModelSize(const caffe::SolverParameter& solver, const caffe::NetParameter& net,
                            const v1::ParameterLayout& layout, uint64_t max_bytes) {
  if (solver.snapshot_format() == caffe::SolverParameter::HDF5) return absl::OkStatus();
  uint64_t blobs = 0;
  for (const v1::ParameterBlob& blob : layout.blobs()) blobs += BytesOf(blob);
  // A model has a shared blob in each layer that shares it, a state has it once.
  uint64_t model = blobs + net.ByteSizeLong();
  for (const v1::SharedParameter& shared : layout.shared())
    model += BytesOf(layout.blobs(static_cast<int>(shared.blob())));
  if (model > max_bytes) return TooLarge(".caffemodel", model, layout.elements(), max_bytes);
  SAMOVAR_ASSIGN_OR_RETURN(const int vectors, HistoryVectors(solver));
  const uint64_t state = blobs * static_cast<uint64_t>(vectors);
  return state > max_bytes ? TooLarge(".solverstate", state, layout.elements(), max_bytes) : absl::OkStatus();
}

}  // namespace samovar
