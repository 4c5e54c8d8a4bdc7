#include "cli/check/check_start.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/check/wrong_file.h"
#include "common/base/status_macros.h"
#include "common/model/exported_snapshot.h"
#include "common/model/initial_values.h"
#include "common/model/solver_history.h"
#include "common/storage/file_digest.h"
#include "common/storage/paths.h"

namespace samovar {
namespace {

// A list may hold several paths, as Caffe's does.
std::vector<std::string> PathsIn(const std::string& list) {
  std::vector<std::string> paths;
  for (absl::string_view path : absl::StrSplit(list, ',')) {
    path = absl::StripAsciiWhitespace(path);
    if (!path.empty()) paths.emplace_back(path);
  }
  return paths;
}

template <typename Lists>
void AddPaths(const Lists& lists, const std::string& referring_file, v1::InitialModel* model) {
  for (const std::string& list : lists) {
    for (const std::string& path : PathsIn(list)) model->add_weights(ResolvePath(path, referring_file));
  }
}

std::string Describe(const InitialValues& values, const v1::InitialModel& model) {
  std::string text = absl::StrJoin(model.weights(), ", ");
  absl::StrAppend(&text, model.weights_size() == 1 ? " fills " : " fill ",
                  values.filled_layers().empty() ? "nothing" : absl::StrJoin(values.filled_layers(), ", "));
  if (!values.other_layers().empty()) {
    absl::StrAppend(&text, "; ", absl::StrJoin(values.other_layers(), ", "),
                    values.other_layers().size() == 1 ? " keeps its fillers" : " keep their fillers");
  }
  if (!model.solver_state().empty()) {
    absl::StrAppend(&text, "; ", model.solver_state(), " continues at iteration ", values.iteration());
  }
  return text;
}

absl::Status CheckThatSomethingIsLeft(const std::string& path, uint64_t iteration, const SolverBundle& bundle) {
  const int max_iter = bundle.solver.max_iter();
  if (iteration < static_cast<uint64_t>(max_iter)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(bundle.places.max_iter, ": ", path, " is of iteration ", iteration,
                                                 ", and max_iter is ", max_iter,
                                                 ": there is nothing left to train; raise max_iter in the solver"));
}

// A state's history that does not fit is a matter of the solver's type, whose place the error names.
absl::Status CheckHistory(const InitialValues& values, const SolverBundle& bundle, const v1::InitialModel& model,
                          const v1::ParameterLayout& layout) {
  return Annotate(values.CheckHistory(bundle.solver, model, layout), bundle.places.type);
}

absl::StatusOr<CheckedStart> CheckExported(const std::string& path, const SolverBundle& bundle,
                                           const v1::ParameterLayout& layout, const StorageTable& storage) {
  SAMOVAR_ASSIGN_OR_RETURN(const ExportedSnapshot snapshot, ExportedSnapshot::Find(ResolvePath(path, ""), storage));
  CheckedStart start;
  start.initial_model.set_exported_snapshot(snapshot.directory());
  SAMOVAR_ASSIGN_OR_RETURN(*start.initial_model.add_digests(), DigestOfFile(snapshot.manifest_path(), storage));
  start.iteration = snapshot.manifest().iteration();
  SAMOVAR_RETURN_IF_ERROR(CheckThatSomethingIsLeft(snapshot.directory(), start.iteration, bundle));
  SAMOVAR_RETURN_IF_ERROR(Annotate(snapshot.CheckFits(layout, bundle.solver), bundle.solver_path));
  SAMOVAR_RETURN_IF_ERROR(snapshot.CheckFiles());
  start.restored = snapshot.manifest();
  start.restored->clear_files();
  start.description =
      absl::StrCat(snapshot.directory(), ", a snapshot of ", snapshot.manifest().files_size(),
                   " servers, continues job ", snapshot.manifest().spec().job_id(), " at iteration ", start.iteration);
  return start;
}

// A user's flags may be swapped.
absl::Status ExplainStart(const absl::Status& refused, const StartFrom& from, const StorageTable& storage) {
  if (!from.snapshot.empty()) return ExplainWrongFile(refused, from.snapshot, kTrainFlags.state, kTrainFlags, storage);
  for (const std::string& path : PathsIn(from.weights)) {
    const absl::Status explained = ExplainWrongFile(refused, path, kTrainFlags.model, kTrainFlags, storage);
    if (explained != refused) return explained;
  }
  return refused;
}

}  // namespace

absl::StatusOr<CheckedStart> CheckStart(const StartFrom& from, const SolverBundle& bundle,
                                        const v1::ParameterLayout& layout, const StorageTable& storage) {
  CheckedStart start;
  if (from.resume) return start;
  if (!from.restore.empty()) return CheckExported(from.restore, bundle, layout, storage);
  v1::InitialModel& model = start.initial_model;
  if (!from.snapshot.empty()) {
    model.set_solver_state(ResolvePath(from.snapshot, ""));
  } else if (!from.weights.empty()) {
    AddPaths(std::vector<std::string>{from.weights}, "", &model);
  } else {
    AddPaths(bundle.solver.weights(), bundle.solver_path, &model);
  }
  if (model.weights().empty() && model.solver_state().empty()) return start;

  SAMOVAR_ASSIGN_OR_RETURN(const int vectors, HistoryVectors(bundle.solver));
  absl::StatusOr<InitialValues> read = InitialValues::Read(model, layout, vectors, storage);
  if (!read.ok()) return ExplainStart(read.status(), from, storage);
  const InitialValues values = *std::move(read);
  SAMOVAR_RETURN_IF_ERROR(CheckHistory(values, bundle, model, layout));
  // The model that the state names, if it was found so: servers need not look for it.
  *model.mutable_weights() = {values.paths().begin(), values.paths().end()};
  *model.mutable_digests() = {values.digests().begin(), values.digests().end()};
  start.iteration = values.iteration();
  SAMOVAR_RETURN_IF_ERROR(CheckThatSomethingIsLeft(model.solver_state(), start.iteration, bundle));
  if (values.filled_layers().empty()) {
    start.warnings.push_back(absl::StrCat(absl::StrJoin(values.paths(), ", "),
                                          ": no layer there has the name of a layer of the net, so nothing is taken "
                                          "from it; compare the names"));
  }
  start.description = Describe(values, model);
  return start;
}

}  // namespace samovar
