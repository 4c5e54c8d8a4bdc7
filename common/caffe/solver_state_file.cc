#include "common/caffe/solver_state_file.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/read_file.h"
#include "common/base/status_macros.h"
#include "common/caffe/blob_proto.h"
#include "common/caffe/hdf5_archive.h"
#include "common/caffe/hdf5_model.h"
#include "common/storage/read_message.h"
#include "common/storage/write_file.h"

namespace samovar {
namespace {

constexpr absl::string_view kHdf5Suffix = ".h5";

absl::Status CheckHistory(caffe::SolverState* state) {
  for (int i = 0; i < state->history_size(); ++i) {
    SAMOVAR_RETURN_IF_ERROR(CheckBlob(absl::StrCat("blob ", i, " of the history"), state->mutable_history(i)));
  }
  return absl::OkStatus();
}

absl::StatusOr<caffe::SolverState> ReadHdf5(const std::string& path) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, kMaxHdf5Bytes));
  return DecodeHdf5State(bytes);
}

absl::StatusOr<caffe::SolverState> ReadBinary(const std::string& path) {
  caffe::SolverState state;
  SAMOVAR_RETURN_IF_ERROR(ReadLocalMessage(path, "a .solverstate", &state));
  // Caffe writes it always; a text or a model that happens to be read has none.
  if (!state.has_iter())
    return absl::DataLossError("it has no iteration: this is not a .solverstate, or it is damaged");
  if (state.iter() < 0 || state.current_step() < 0) {
    return absl::DataLossError(absl::StrCat("iteration ", state.iter(), " with current_step ", state.current_step(),
                                            " is impossible; the file is damaged"));
  }
  SAMOVAR_RETURN_IF_ERROR(CheckHistory(&state));
  return state;
}

// The file's name before the error, unless it is there.
absl::Status Named(const absl::Status& status, const std::string& path) {
  return absl::StrContains(status.message(), path) ? status : Annotate(status, path);
}

}  // namespace

absl::StatusOr<caffe::SolverState> ReadSolverState(const std::string& path, const StorageTable& storage) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string local, storage.Fetch(path));
  absl::StatusOr<caffe::SolverState> state = absl::EndsWith(path, kHdf5Suffix) ? ReadHdf5(local) : ReadBinary(local);
  if (!state.ok()) return Named(state.status(), path);
  return state;
}

absl::Status WriteSolverState(const std::string& path, const caffe::SolverState& state, const StorageTable& storage) {
  if (absl::EndsWith(path, kHdf5Suffix)) {
    const absl::StatusOr<std::string> bytes = EncodeHdf5State(state);
    if (!bytes.ok()) return CannotWrite(path, bytes.status());
    return storage.PutBytes(path, *bytes);
  }
  caffe::SolverState checked = state;
  const absl::Status fits = CheckHistory(&checked);
  if (!fits.ok()) return absl::InvalidArgumentError(absl::StrCat("cannot write ", path, ": ", fits.message()));
  return storage.PutMessage(path, state);
}

}  // namespace samovar
