#include "common/model/solver_history.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/caffe/solver_checks.h"
#include "common/model/blob_values.h"
#include "common/model/layout.h"

namespace samovar {
namespace {

// In the order of the old enum.
const char* const kTypes[] = {"SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"};

// Caffe counts the steps that its rate has taken, and looks at the count when it goes on.
int CurrentStep(const caffe::SolverParameter& solver, uint64_t iteration) {
  if (iteration == 0) return 0;
  const int64_t last = static_cast<int64_t>(iteration) - 1;
  if (solver.lr_policy() == "step" && solver.stepsize() > 0) return static_cast<int>(last / solver.stepsize());
  if (solver.lr_policy() != "multistep") return 0;
  return static_cast<int>(
      std::count_if(solver.stepvalue().begin(), solver.stepvalue().end(), [last](int value) { return value <= last; }));
}

}  // namespace

absl::StatusOr<std::string> SolverTypeOf(const caffe::SolverParameter& solver) {
  const std::string type = SolverType(solver);
  if (std::find(std::begin(kTypes), std::end(kTypes), type) != std::end(kTypes)) return type;
  return absl::InvalidArgumentError(
      absl::StrCat("solver: unknown type \"", type, "\"; there are ", absl::StrJoin(kTypes, ", ")));
}

absl::StatusOr<int> HistoryVectors(const caffe::SolverParameter& solver) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string type, SolverTypeOf(solver));
  return type == "AdaDelta" || type == "Adam" ? 2 : 1;
}

absl::Status CheckSolverState(const caffe::SolverState& state, const v1::ParameterLayout& layout, int vectors) {
  if (state.iter() < 0) return absl::InvalidArgumentError(absl::StrCat("its iteration is ", state.iter()));
  const int blobs = layout.blobs_size();
  if (state.history_size() != blobs * vectors) {
    return absl::InvalidArgumentError(
        absl::StrCat("it has ", state.history_size(), " history blobs; this solver and net need ", blobs * vectors,
                     ", which is ", vectors, vectors == 1 ? " for" : " each for", " the net's ", blobs,
                     " parameter blobs; continue with the solver type and the net that wrote it"));
  }
  for (int i = 0; i < state.history_size(); ++i) {
    const v1::ParameterBlob& blob = layout.blobs(i % blobs);
    const std::string name =
        absl::StrCat("history blob ", i, ", of layer \"", blob.layer(), "\", blob ", blob.index(), ",");
    if (CountValues(state.history(i)) != BlobElements(blob)) {
      return absl::InvalidArgumentError(absl::StrCat(name, " has ", CountValues(state.history(i)),
                                                     " values instead of ", BlobElements(blob),
                                                     "; continue with the net that wrote it"));
    }
    if (!ValuesAreFinite(state.history(i))) {
      return absl::InvalidArgumentError(absl::StrCat(name, " has NaN or infinity in it; continue from an earlier one"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckHistoryIsOf(const caffe::SolverParameter& solver, const caffe::SolverState& state,
                              const v1::ParameterLayout& layout) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string type, SolverTypeOf(solver));
  const int blobs = layout.blobs_size();
  for (int i = 0; i < state.history_size(); ++i) {
    const bool squares = type == "AdaGrad" || type == "RMSProp" || type == "AdaDelta" || (type == "Adam" && i >= blobs);
    if (!squares) continue;
    std::vector<float> values(static_cast<size_t>(CountValues(state.history(i))));
    CopyValues(state.history(i), 0, values);
    if (std::all_of(values.begin(), values.end(), [](float value) { return value >= 0; })) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "history blob ", i, ", of layer \"", layout.blobs(i % blobs).layer(),
        "\", has negative values, and a solver of type ", type,
        " keeps means of squares there: another type of solver wrote it; continue with that type, or begin with "
        "--weights and the model beside it"));
  }
  return absl::OkStatus();
}

void CopyHistory(const caffe::SolverState& state, const v1::ParameterLayout& layout, int vector, uint64_t begin,
                 std::span<float> out) {
  int index = vector * layout.blobs_size();
  for (const v1::ParameterBlob& blob : layout.blobs()) {
    const uint64_t from = std::max(begin, blob.offset());
    const uint64_t to = std::min(begin + out.size(), blob.offset() + BlobElements(blob));
    if (from < to) CopyValues(state.history(index), from - blob.offset(), out.subspan(from - begin, to - from));
    ++index;
  }
}

caffe::SolverState MakeSolverState(const caffe::SolverParameter& solver, const v1::ParameterLayout& layout,
                                   uint64_t iteration, const std::string& learned_net,
                                   std::span<const std::vector<float>> history) {
  caffe::SolverState state;
  state.set_iter(static_cast<int>(iteration));
  state.set_learned_net(learned_net);
  state.set_current_step(CurrentStep(solver, iteration));
  for (const std::vector<float>& vector : history) {
    for (const v1::ParameterBlob& parameter : layout.blobs()) {
      caffe::BlobProto* blob = state.add_history();
      for (int64_t dimension : parameter.shape()) blob->mutable_shape()->add_dim(dimension);
      const auto begin = vector.begin() + static_cast<std::ptrdiff_t>(parameter.offset());
      blob->mutable_data()->Add(begin, begin + static_cast<std::ptrdiff_t>(BlobElements(parameter)));
    }
  }
  return state;
}

}  // namespace samovar
