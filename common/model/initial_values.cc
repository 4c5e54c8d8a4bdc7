#include "common/model/initial_values.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/caffe/model_file.h"
#include "common/caffe/solver_state_file.h"
#include "common/model/blob_values.h"
#include "common/model/layout.h"
#include "common/model/solver_history.h"
#include "common/storage/file_digest.h"
#include "common/storage/paths.h"

namespace samovar {
namespace {

// Number of axes that Caffe's old shapes have.
constexpr int kOldAxes = 4;

// A layer's parameter: a blob of the layout, of its own or of another layer.
struct Target {
  int blob = 0;
  bool owned = false;
};

// The parameters of each layer, by their numbers.
std::map<std::string, std::map<uint32_t, Target>> TargetsOf(const v1::ParameterLayout& layout) {
  std::map<std::string, std::map<uint32_t, Target>> targets;
  for (int i = 0; i < layout.blobs_size(); ++i) targets[layout.blobs(i).layer()][layout.blobs(i).index()] = {i, true};
  for (const v1::SharedParameter& shared : layout.shared()) {
    targets[shared.layer()][shared.index()] = {static_cast<int>(shared.blob()), false};
  }
  return targets;
}

bool HasOldShape(const caffe::BlobProto& blob) {
  return blob.has_num() || blob.has_channels() || blob.has_height() || blob.has_width();
}

std::vector<int64_t> ShapeOf(const caffe::BlobProto& blob) {
  if (HasOldShape(blob)) return {blob.num(), blob.channels(), blob.height(), blob.width()};
  return {blob.shape().dim().begin(), blob.shape().dim().end()};
}

// An old shape is that of a blob with ones before its axes: (1, 1, M, N) is M x N, (1, 1, 1, N) is N.
bool ShapesAgree(const caffe::BlobProto& source, const v1::ParameterBlob& target) {
  std::vector<int64_t> wanted(target.shape().begin(), target.shape().end());
  if (HasOldShape(source)) {
    if (wanted.size() > kOldAxes) return false;
    wanted.insert(wanted.begin(), kOldAxes - wanted.size(), 1);
  }
  return ShapeOf(source) == wanted;
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  return shape.empty() ? "without axes" : absl::StrJoin(shape, "x");
}

absl::Status CheckBlob(const caffe::BlobProto& source, const v1::ParameterBlob& target, bool owned,
                       const std::string& name) {
  // Layers that share a blob may see it in other shapes of the same length.
  const bool fits = owned ? ShapesAgree(source, target) : true;
  if (!fits || CountValues(source) != BlobElements(target)) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, " is ", ShapeText(ShapeOf(source)), " in the file and ",
                     ShapeText({target.shape().begin(), target.shape().end()}),
                     " in the net; to train the layer from its fillers give it another name, else make the two alike"));
  }
  if (!ValuesAreFinite(source)) {
    return absl::InvalidArgumentError(absl::StrCat(name, " has NaN or infinity in it; take another model"));
  }
  return absl::OkStatus();
}

// A file may hold a shared blob at its owner only: elsewhere it is empty, or missing at the end.
bool IsLeftOut(const caffe::LayerParameter& source, int blob) {
  if (blob >= source.blobs_size()) return true;
  return CountValues(source.blobs(blob)) == 0 && ShapeOf(source.blobs(blob)).empty();
}

absl::Status CheckCount(const caffe::LayerParameter& source, const std::map<uint32_t, Target>& targets) {
  size_t needed = 0, position = 0;
  for (const auto& [index, target] : targets) {
    ++position;
    if (target.owned) needed = position;
  }
  const size_t held = static_cast<size_t>(source.blobs_size());
  if (held >= needed && held <= targets.size()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("layer \"", source.name(), "\" has ", source.blobs_size(), " blobs in the file and ", targets.size(),
                   " in the net (is bias_term the same?); to train the layer from its fillers give it another name"));
}

}  // namespace

absl::StatusOr<InitialValues> InitialValues::Read(const v1::InitialModel& initial, const v1::ParameterLayout& layout,
                                                  int vectors, const StorageTable& storage) {
  InitialValues values;
  values.paths_.assign(initial.weights().begin(), initial.weights().end());
  if (!initial.solver_state().empty()) {
    SAMOVAR_ASSIGN_OR_RETURN(values.state_, ReadSolverState(initial.solver_state(), storage));
    SAMOVAR_RETURN_IF_ERROR(Annotate(CheckSolverState(*values.state_, layout, vectors), initial.solver_state()));
    if (values.paths_.empty()) {
      SAMOVAR_ASSIGN_OR_RETURN(std::string learned, FindLearnedNet(*values.state_, initial.solver_state(), storage));
      values.paths_.push_back(std::move(learned));
    }
  }
  std::vector<std::string> files = values.paths_;
  if (!initial.solver_state().empty()) files.push_back(initial.solver_state());
  for (const std::string& path : values.paths_) {
    SAMOVAR_ASSIGN_OR_RETURN(caffe::NetParameter model, ReadModel(path, storage));
    SAMOVAR_RETURN_IF_ERROR(Annotate(values.AddModel(std::move(model), layout), path));
  }
  // After the reading, so that content that was replaced meanwhile is found.
  for (size_t i = 0; i < files.size(); ++i) {
    SAMOVAR_ASSIGN_OR_RETURN(values.digests_.emplace_back(), DigestOfFile(files[i], storage));
    if (initial.digests().empty()) continue;
    const std::string& expected =
        i < static_cast<size_t>(initial.digests_size()) ? initial.digests(static_cast<int>(i)) : "";
    SAMOVAR_RETURN_IF_ERROR(CheckDigest(files[i], values.digests_[i], expected));
  }
  values.NameLayers(layout);
  return values;
}

absl::Status InitialValues::AddModel(caffe::NetParameter model, const v1::ParameterLayout& layout) {
  sources_.resize(layout.blobs_size());
  const auto layers = TargetsOf(layout);
  for (int i = 0; i < model.layer_size(); ++i) {
    const caffe::LayerParameter& source = model.layer(i);
    const auto found = layers.find(source.name());
    if (found == layers.end()) continue;
    SAMOVAR_RETURN_IF_ERROR(CheckCount(source, found->second));
    int blob = -1;
    for (const auto& [index, target] : found->second) {
      ++blob;
      if (!target.owned && IsLeftOut(source, blob)) continue;
      SAMOVAR_RETURN_IF_ERROR(CheckBlob(source.blobs(blob), layout.blobs(target.blob), target.owned,
                                        absl::StrCat("layer \"", source.name(), "\", blob ", index)));
      if (target.owned) sources_[target.blob] = {static_cast<int>(models_.size()), i, blob};
    }
  }
  models_.push_back(std::move(model));
  return absl::OkStatus();
}

void InitialValues::NameLayers(const v1::ParameterLayout& layout) {
  for (int i = 0; i < layout.blobs_size(); ++i) {
    const std::string& layer = layout.blobs(i).layer();
    if (i > 0 && layout.blobs(i - 1).layer() == layer) continue;
    const bool filled = !sources_.empty() && sources_[i].model >= 0;
    (filled ? filled_layers_ : other_layers_).push_back(layer);
  }
}

void InitialValues::CopyWeights(const v1::ParameterLayout& layout, uint64_t begin, std::span<float> out) const {
  for (size_t i = 0; i < sources_.size(); ++i) {
    const Source& source = sources_[i];
    if (source.model < 0) continue;
    const v1::ParameterBlob& blob = layout.blobs(static_cast<int>(i));
    const uint64_t from = std::max(begin, blob.offset());
    const uint64_t to = std::min(begin + out.size(), blob.offset() + BlobElements(blob));
    if (from >= to) continue;
    CopyValues(models_[source.model].layer(source.layer).blobs(source.blob), from - blob.offset(),
               out.subspan(from - begin, to - from));
  }
}

void InitialValues::CopyHistory(const v1::ParameterLayout& layout, int vector, uint64_t begin,
                                std::span<float> out) const {
  if (state_.has_value()) samovar::CopyHistory(*state_, layout, vector, begin, out);
}

absl::Status InitialValues::CheckHistory(const caffe::SolverParameter& solver, const v1::InitialModel& initial,
                                         const v1::ParameterLayout& layout) const {
  if (!state_.has_value()) return absl::OkStatus();
  return Annotate(CheckHistoryIsOf(solver, *state_, layout), initial.solver_state());
}

absl::StatusOr<std::string> FindLearnedNet(const caffe::SolverState& state, const std::string& state_path,
                                           const StorageTable& storage) {
  const std::string& written = state.learned_net();
  if (written.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(state_path, ": it names no model (learned_net)"));
  }
  const std::string found = ResolvePath(written, state_path);
  if (storage.Exists(found)) return found;
  // The directory that it was in when it was written may be another one now.
  const std::filesystem::path beside =
      std::filesystem::path(WithoutQuery(state_path)).parent_path() / std::filesystem::path(written).filename();
  if (storage.Exists(beside.string())) return ResolvePath(beside.string(), state_path);
  return absl::NotFoundError(absl::StrCat(state_path, ": its model (learned_net) is neither at ", written, " nor at ",
                                          beside.string(), "; put it beside the .solverstate"));
}

}  // namespace samovar
