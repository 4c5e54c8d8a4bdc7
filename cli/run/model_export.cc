#include "cli/run/model_export.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/caffe/insert_splits.h"
#include "common/caffe/model_file.h"
#include "common/caffe/solver_state_file.h"
#include "common/model/model_blobs.h"
#include "common/model/solver_history.h"
#include "common/parameters/parameter_client.h"
#include "common/storage/paths.h"
#include "common/storage/write_file.h"

namespace samovar {
namespace {

// The servers are on this machine, and have the copy in memory or on the disk.
constexpr absl::Duration kPullTimeout = absl::Seconds(60);

std::string PathOf(const std::string& snapshot_prefix, uint64_t iteration, const caffe::SolverParameter& solver,
                   const char* extension) {
  return absl::StrCat(snapshot_prefix, "_iter_", iteration, extension,
                      solver.snapshot_format() == caffe::SolverParameter::HDF5 ? ".h5" : "");
}

absl::StatusOr<std::unique_ptr<ParameterClient>> MakeClient(const v1::JobSpec& spec, const v1::JobStatus& status,
                                                            const Dialer& dialer) {
  ParameterClient::Options options;
  options.job_id = spec.job_id();
  options.elements = spec.layout().elements();
  options.chunk_elements = status.chunk_elements();
  options.servers.assign(status.servers().begin(), status.servers().end());
  return ParameterClient::Create(options, dialer);
}

}  // namespace

std::string ModelPath(const std::string& snapshot_prefix, uint64_t iteration, const caffe::SolverParameter& solver) {
  return PathOf(snapshot_prefix, iteration, solver, ".caffemodel");
}

std::string SolverStatePath(const std::string& snapshot_prefix, uint64_t iteration,
                            const caffe::SolverParameter& solver) {
  return PathOf(snapshot_prefix, iteration, solver, ".solverstate");
}

absl::Status CheckSnapshotPrefix(const std::string& snapshot_prefix, const caffe::SolverParameter& solver,
                                 const StorageTable& storage) {
  const absl::Status writable = storage.CheckWritable(
      SolverStatePath(snapshot_prefix, static_cast<uint64_t>(std::max(0, solver.max_iter())), solver));
  return Annotate(writable,
                  absl::StrCat("cannot write models to ", snapshot_prefix, " (snapshot_prefix of the solver)"));
}

void RemoveAbandonedModels(const std::string& snapshot_prefix) {
  if (!SchemeOf(snapshot_prefix).empty()) return;
  const std::filesystem::path prefix = snapshot_prefix;
  const std::string begin = absl::StrCat(prefix.filename().string(), "_iter_");
  const std::string directory = prefix.has_parent_path() ? prefix.parent_path().string() : ".";
  RemoveAbandoned(directory, [&begin](absl::string_view name) {
    if (!absl::ConsumePrefix(&name, begin)) return false;
    absl::ConsumeSuffix(&name, ".h5");
    const bool model = absl::ConsumeSuffix(&name, ".caffemodel") || absl::ConsumeSuffix(&name, ".solverstate");
    uint64_t iteration = 0;
    return model && absl::SimpleAtoi(name, &iteration) && absl::StrCat(iteration) == name;
  });
}

absl::Status ExportModel(const v1::JobSpec& spec, const v1::JobStatus& status, uint64_t iteration,
                         const std::string& path, const Dialer& dialer, const StorageTable& storage,
                         const Stopper& stopper) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<ParameterClient> client, MakeClient(spec, status, dialer));
  std::vector<float> weights(spec.layout().elements());
  SAMOVAR_RETURN_IF_ERROR(client->PullFrozen(iteration, weights, {SteadyNow() + kPullTimeout, &stopper}));
  SAMOVAR_ASSIGN_OR_RETURN(const caffe::NetParameter model,
                           MakeModel(InsertSplits(spec.train_net()), spec.layout(), weights));
  return WriteModel(path, model, storage);
}

absl::Status ExportSolverState(const v1::JobSpec& spec, const v1::JobStatus& status, uint64_t iteration,
                               const std::string& model_path, const std::string& path, const Dialer& dialer,
                               const StorageTable& storage, const Stopper& stopper) {
  SAMOVAR_ASSIGN_OR_RETURN(const int vectors, HistoryVectors(spec.solver()));
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<ParameterClient> client, MakeClient(spec, status, dialer));
  std::vector<std::vector<float>> history(vectors, std::vector<float>(spec.layout().elements()));
  for (int i = 0; i < vectors; ++i) {
    const WaitLimit limit = {SteadyNow() + kPullTimeout, &stopper};
    SAMOVAR_ASSIGN_OR_RETURN(const uint64_t updates,
                             client->PullHistory(iteration, static_cast<uint32_t>(i) + 1, history[i], limit));
    if (updates < iteration) {
      return absl::FailedPreconditionError(
          absl::StrCat("a chunk of the snapshot holds ", updates, " iterations of ", iteration));
    }
  }
  return WriteSolverState(path, MakeSolverState(spec.solver(), spec.layout(), iteration, model_path, history), storage);
}

}  // namespace samovar
