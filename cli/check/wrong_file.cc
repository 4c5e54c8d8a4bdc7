#include "cli/check/wrong_file.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/caffe/model_file.h"
#include "common/caffe/prototxt.h"
#include "common/caffe/solver_state_file.h"
#include "common/caffe/text_file.h"

namespace samovar {
namespace {

// More than a text that people write.
constexpr uint64_t kMaxTextBytes = 64 << 20;

bool IsText(const std::string& path, const StorageTable& storage) {
  const auto text = ReadTextFile(path, kMaxTextBytes, storage);
  return text.ok() && (ParseNet(*text, path).ok() || ParseSolver(*text, path).ok());
}

// "is a ... ; give it with ..."; empty if the file is not one of Caffe's, or not whole.
std::string Describe(const std::string& path, const FileFlags& flags, const StorageTable& storage) {
  if (const auto state = ReadSolverState(path, storage); state.ok()) {
    const std::string model =
        state->learned_net().empty() ? "its model" : absl::StrCat("its model, ", state->learned_net(), ",");
    const std::string it = flags.state.empty() ? "" : absl::StrCat("it with ", flags.state, ", or ");
    return absl::StrCat("is a .solverstate, the state of a solver at iteration ", state->iter(), "; give ", it, model,
                        " with ", flags.model);
  }
  if (ReadModel(path, storage).ok())
    return absl::StrCat("is a .caffemodel, the weights of a model; give it with ", flags.model);
  if (IsText(path, storage))
    return absl::StrCat("is a .prototxt, a net or a solver in text; give it with ", flags.text);
  return "";
}

std::string Wanted(absl::string_view flag, const FileFlags& flags) {
  if (flag == flags.model) return "a .caffemodel";
  if (flag == flags.state) return "a .solverstate";
  return flag == "--solver" ? "a solver's .prototxt" : "a net's .prototxt";
}

// Whether the description is of the kind that the flag takes.
bool IsWanted(const std::string& description, absl::string_view flag, const FileFlags& flags) {
  const absl::string_view kind = flag == flags.model   ? "is a .caffemodel"
                                 : flag == flags.state ? "is a .solverstate"
                                                       : "is a .prototxt";
  return absl::StartsWith(description, kind);
}

}  // namespace

absl::Status ExplainWrongFile(const absl::Status& refused, const std::string& path, absl::string_view flag,
                              const FileFlags& flags, const StorageTable& storage) {
  if (refused.ok() || absl::IsNotFound(refused)) return refused;
  const std::string description = Describe(path, flags, storage);
  if (description.empty() || IsWanted(description, flag, flags)) return refused;
  return absl::InvalidArgumentError(absl::StrCat(path, " ", description, "; ", flag, " takes ", Wanted(flag, flags)));
}

}  // namespace samovar
