#include "common/caffe/solver_bundle.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"
#include "common/caffe/error_list.h"
#include "common/caffe/net_filter.h"
#include "common/caffe/net_sources.h"
#include "common/caffe/prototxt.h"
#include "common/caffe/solver_checks.h"
#include "common/caffe/upgrade_net.h"
#include "common/storage/named_file.h"
#include "common/storage/paths.h"

namespace samovar {
namespace {

// A net before it is filtered.
struct NetSource {
  caffe::NetParameter net;
  // The file it stands in.
  std::string file;
  // Where in the solver it is named: "file:line:column".
  std::string named_at;
  // Where its layers stand, one entry each.
  std::vector<std::string> layers;
};

// Reads a solver's nets, as Caffe assigns them to training and to tests.
class BundleLoader {
 public:
  BundleLoader(const std::string& path, const StateChoice& choice, const StorageTable& storage)
      : choice_(choice), storage_(storage) {
    bundle_.solver_path = path;
  }

  absl::StatusOr<SolverBundle> Load(absl::Status* values) && {
    SAMOVAR_RETURN_IF_ERROR(ReadSolver());
    ErrorList errors;
    const absl::Status checked = CheckSolver(solver_, *source_map_, &bundle_.warnings);
    if (values != nullptr) {
      *values = checked;
    } else {
      errors.Add(checked);
    }
    errors.Add(TakePrefix());
    const absl::Status train_net = LoadTrainNet();
    errors.Add(train_net);
    // Which nets are tested depends on the one that is trained.
    if (train_net.ok()) errors.Add(LoadTestNets());
    SAMOVAR_RETURN_IF_ERROR(errors.ToStatus());
    SAMOVAR_RETURN_IF_ERROR(FillSolver());
    return std::move(bundle_);
  }

 private:
  std::string At(absl::string_view field, int index = -1) const { return source_map_->Where(solver_, field, index); }

  absl::Status Wrong(absl::string_view field, absl::string_view message) const {
    return absl::InvalidArgumentError(absl::StrCat(At(field), ": ", message));
  }

  absl::Status ReadSolver() {
    absl::StatusOr<caffe::SolverParameter> solver = ReadSolverFile(bundle_.solver_path, &source_map_, storage_);
    if (absl::IsInvalidArgument(solver.status())) {
      const absl::StatusOr<caffe::NetParameter> net = ReadNetFile(bundle_.solver_path, nullptr, storage_);
      if (net.ok() && net->layer_size() + net->layers_size() > 0) {
        return absl::InvalidArgumentError(
            absl::StrCat(bundle_.solver_path, ": this is a net; give its solver, which names the net"));
      }
    }
    SAMOVAR_RETURN_IF_ERROR(solver.status());
    solver_ = *std::move(solver);
    return absl::OkStatus();
  }

  // Whether the name in a field can be that of a file: its scheme is one that there is.
  absl::Status CheckOffered(absl::string_view field, int index, const std::string& name) const {
    const absl::Status offered = storage_.StorageFor(WithoutFileScheme(name)).status();
    if (offered.ok()) return offered;
    return absl::InvalidArgumentError(absl::StrCat(At(field, index), ": ", field, ": ", offered.message()));
  }

  absl::Status TakePrefix() {
    if (!solver_.has_snapshot_prefix()) return absl::OkStatus();
    SAMOVAR_RETURN_IF_ERROR(CheckOffered("snapshot_prefix", -1, solver_.snapshot_prefix()));
    solver_.set_snapshot_prefix(WithoutFileScheme(solver_.snapshot_prefix()));
    return absl::OkStatus();
  }

  // Behind the name of a net that is not there.
  std::string WhereLookedFor() const {
    const bool has_query = WithoutQuery(bundle_.solver_path) != bundle_.solver_path;
    return absl::StrCat(" in the current directory or beside the solver",
                        has_query
                            ? "; it was asked for without what stands behind the \"?\" of the solver's URL: if that "
                              "is a signature, write the net's own URL"
                            : "");
  }

  // The file that a field names; warns if there are two.
  std::string Find(absl::string_view field, const std::string& at, const std::string& name) {
    NamedFile found = FindNamedFile(name, bundle_.solver_path, storage_);
    if (!found.warning.empty()) bundle_.warnings.push_back(absl::StrCat(at, ": ", field, ": ", found.warning));
    return found.path;
  }

  absl::StatusOr<NetSource> FromFile(absl::string_view field, int index, const std::string& name) {
    NetSource source;
    source.named_at = At(field, index);
    SAMOVAR_RETURN_IF_ERROR(CheckOffered(field, index, name));
    source.file = Find(field, source.named_at, name);
    std::unique_ptr<SourceMap> source_map;
    absl::StatusOr<caffe::NetParameter> net = ReadNetFile(source.file, &source_map, storage_);
    if (absl::IsNotFound(net.status())) {
      return absl::NotFoundError(
          absl::StrCat(source.named_at, ": ", field, ": there is no file ", name, WhereLookedFor()));
    }
    SAMOVAR_RETURN_IF_ERROR(net.status());
    source.net = *std::move(net);
    const auto where = [&](const std::vector<FieldStep>& path) { return source_map->WherePath(source.net, path); };
    SAMOVAR_RETURN_IF_ERROR(BringUpToDate(where, &source));
    return source;
  }

  absl::StatusOr<NetSource> FromSolver(absl::string_view field, int index, const caffe::NetParameter& net) {
    NetSource source;
    source.named_at = At(field, index);
    source.file = bundle_.solver_path;
    source.net = net;
    const auto where = [&](const std::vector<FieldStep>& path) {
      std::vector<FieldStep> from_solver = {{field, index}};
      from_solver.insert(from_solver.end(), path.begin(), path.end());
      return source_map_->WherePath(solver_, from_solver);
    };
    SAMOVAR_RETURN_IF_ERROR(BringUpToDate(where, &source));
    return source;
  }

  absl::Status BringUpToDate(const NetLocator& where, NetSource* source) {
    if (source->net.layer_size() + source->net.layers_size() == 0) {
      return absl::InvalidArgumentError(absl::StrCat(where({}), ": the net has no layers"));
    }
    WarnOfIdleTransforms(where, source->net);
    return UpgradeNet(where, &source->net, &source->layers);
  }

  // Caffe moves them from there in its old form ("layers") only.
  void WarnOfIdleTransforms(const NetLocator& where, const caffe::NetParameter& net) {
    for (int i = 0; i < net.layer_size(); ++i) {
      const caffe::LayerParameter& layer = net.layer(i);
      WarnOfIdleTransform(where, i, "data_param", layer.data_param());
      WarnOfIdleTransform(where, i, "image_data_param", layer.image_data_param());
      WarnOfIdleTransform(where, i, "window_data_param", layer.window_data_param());
    }
  }

  template <typename DataParam>
  void WarnOfIdleTransform(const NetLocator& where, int layer, absl::string_view name, const DataParam& param) {
    const bool set[] = {param.has_scale(), param.has_mean_file(), param.has_crop_size(), param.has_mirror()};
    const char* const fields[] = {"scale", "mean_file", "crop_size", "mirror"};
    for (int i = 0; i < 4; ++i) {
      if (!set[i]) continue;
      bundle_.warnings.push_back(absl::StrCat(where({{"layer", layer}, {name}, {fields[i]}}), ": ", fields[i],
                                              " has no effect in ", name,
                                              " of a layer, as in Caffe; write it in "
                                              "transform_param"));
    }
  }

  // The net in the solver's state, with absolute paths, and where its layers stand. `state` comes above the net's own.
  absl::StatusOr<caffe::NetParameter> InState(const NetSource& source, caffe::Phase phase, const caffe::NetState& state,
                                              NetOrigin* origin) {
    caffe::NetState merged;
    merged.set_phase(phase);
    merged.MergeFrom(source.net.state());
    merged.MergeFrom(state);
    if (phase == caffe::TRAIN && merged.phase() != caffe::TRAIN) {
      return absl::InvalidArgumentError(
          absl::StrCat(source.named_at,
                       ": the net that is trained is in phase TEST; remove the phase from its state and train_state"));
    }
    std::vector<int> kept;
    absl::StatusOr<caffe::NetParameter> net = FilterNet(source.net, merged, &kept);
    if (!net.ok()) return Annotate(net.status(), source.file);
    if (net->layer_size() == 0) {
      return absl::InvalidArgumentError(absl::StrCat(source.named_at, ": no layer of the net belongs to phase ",
                                                     caffe::Phase_Name(merged.phase()),
                                                     "; look at the include and exclude rules"));
    }
    origin->file = source.file;
    origin->layers.clear();
    for (const int layer : kept) origin->layers.push_back(source.layers[static_cast<size_t>(layer)]);
    ResolveSources(source.file, *origin, storage_, &*net, &bundle_.warnings);
    return net;
  }

  absl::Status LoadTrainNet() {
    std::vector<const char*> given;
    if (solver_.has_net()) given.push_back("net");
    if (solver_.has_net_param()) given.push_back("net_param");
    if (solver_.has_train_net()) given.push_back("train_net");
    if (solver_.has_train_net_param()) given.push_back("train_net_param");
    if (given.empty()) return Wrong("net", "the solver names no net; write for example net: \"train_test.prototxt\"");
    if (given.size() > 1) {
      return Wrong(given.back(),
                   absl::StrCat("the net to train is given more than once; keep one of ", absl::StrJoin(given, ", ")));
    }
    SAMOVAR_ASSIGN_OR_RETURN(NetSource source, TrainSource());
    bundle_.train_origin.name = "TRAIN net";
    caffe::NetState state = solver_.train_state();
    ApplyState(choice_, &state);
    SAMOVAR_ASSIGN_OR_RETURN(bundle_.train_net, InState(source, caffe::TRAIN, state, &bundle_.train_origin));
    if (solver_.has_net() || solver_.has_net_param()) generic_ = std::move(source);
    return absl::OkStatus();
  }

  absl::StatusOr<NetSource> TrainSource() {
    if (solver_.has_net()) return FromFile("net", -1, solver_.net());
    if (solver_.has_net_param()) return FromSolver("net_param", -1, solver_.net_param());
    if (solver_.has_train_net()) return FromFile("train_net", -1, solver_.train_net());
    return FromSolver("train_net_param", -1, solver_.train_net_param());
  }

  // Each test net needs a test_iter; those that are left over are of the net that is trained.
  absl::Status CheckTests() {
    const int named = solver_.test_net_param_size() + solver_.test_net_size();
    const int tests = solver_.test_iter_size();
    if (tests < named || (tests > named && !generic_.has_value())) {
      return Wrong("test_iter", absl::StrCat("there are ", named, " test nets, but ", tests,
                                             " values of test_iter; write one for each",
                                             named == 0 ? ", or name the net with net instead of train_net" : ""));
    }
    for (int i = 0; i < tests; ++i) {
      if (solver_.test_iter(i) > 0) continue;
      return absl::InvalidArgumentError(
          absl::StrCat(At("test_iter", i), ": test_iter must be at least 1, not ", solver_.test_iter(i)));
    }
    if (solver_.test_state_size() > 0 && solver_.test_state_size() != tests) {
      return Wrong("test_state",
                   absl::StrCat("there are ", tests, " tests (values of test_iter), but ", solver_.test_state_size(),
                                " values of test_state; write one for each or none"));
    }
    if (tests > 0 && solver_.test_interval() <= 0) {
      return Wrong("test_iter", "test_iter needs test_interval; write for example test_interval: 1000");
    }
    if (tests == 0 && solver_.test_interval() > 0) {
      bundle_.warnings.push_back(
          absl::StrCat(At("test_interval"), ": test_interval has no effect without test_iter: nothing will be tested"));
    }
    return absl::OkStatus();
  }

  absl::Status LoadTestNets() {
    // CaffeOnSpark's way to test nothing.
    const bool idle =
        std::all_of(solver_.test_iter().begin(), solver_.test_iter().end(), [](int batches) { return batches == 0; });
    if (solver_.test_iter_size() > 0 && idle && solver_.test_interval() == 0) return absl::OkStatus();
    SAMOVAR_RETURN_IF_ERROR(CheckTests());
    for (int i = 0; i < solver_.test_net_param_size(); ++i) {
      SAMOVAR_ASSIGN_OR_RETURN(const NetSource source, FromSolver("test_net_param", i, solver_.test_net_param(i)));
      SAMOVAR_RETURN_IF_ERROR(AddTestNet(source));
    }
    for (int i = 0; i < solver_.test_net_size(); ++i) {
      SAMOVAR_ASSIGN_OR_RETURN(const NetSource source, FromFile("test_net", i, solver_.test_net(i)));
      SAMOVAR_RETURN_IF_ERROR(AddTestNet(source));
    }
    while (static_cast<int>(bundle_.test_nets.size()) < solver_.test_iter_size()) {
      SAMOVAR_RETURN_IF_ERROR(AddTestNet(*generic_));
    }
    return absl::OkStatus();
  }

  absl::Status AddTestNet(const NetSource& source) {
    const int index = static_cast<int>(bundle_.test_nets.size());
    const caffe::NetState state =
        solver_.test_state_size() > 0 ? solver_.test_state(index) : caffe::NetState::default_instance();
    NetOrigin origin;
    origin.name = absl::StrCat("TEST net #", index);
    SAMOVAR_ASSIGN_OR_RETURN(caffe::NetParameter net, InState(source, caffe::TEST, state, &origin));
    bundle_.test_nets.push_back(std::move(net));
    bundle_.test_origins.push_back(std::move(origin));
    return absl::OkStatus();
  }

  absl::Status FillSolver() {
    bundle_.places = {At("max_iter"), At(solver_.has_solver_type() ? "solver_type" : "type")};
    solver_.clear_net();
    solver_.clear_net_param();
    solver_.clear_train_net();
    solver_.clear_train_net_param();
    solver_.clear_test_net();
    solver_.clear_test_net_param();
    solver_.clear_train_state();
    solver_.clear_test_state();
    solver_.set_type(SolverType(solver_));
    solver_.clear_solver_type();
    solver_.set_solver_mode(caffe::SolverParameter::CPU);
    const std::filesystem::path path(WithoutQuery(bundle_.solver_path));
    std::error_code ignored;
    if (!solver_.has_snapshot_prefix()) {
      solver_.set_snapshot_prefix((path.parent_path() / path.stem()).string());
    } else if (std::filesystem::is_directory(solver_.snapshot_prefix(), ignored)) {
      solver_.set_snapshot_prefix((std::filesystem::path(solver_.snapshot_prefix()) / path.stem()).string());
    }
    SAMOVAR_RETURN_IF_ERROR(ResolveWeights());
    bundle_.solver = std::move(solver_);
    return absl::OkStatus();
  }

  // One absolute path a model.
  absl::Status ResolveWeights() {
    std::vector<std::string> paths;
    for (const std::string& names : solver_.weights()) {
      for (absl::string_view name : absl::StrSplit(names, ',')) {
        const std::string path(absl::StripAsciiWhitespace(name));
        SAMOVAR_RETURN_IF_ERROR(CheckOffered("weights", -1, path));
        paths.push_back(ResolvePath(Find("weights", At("weights"), path), ""));
      }
    }
    solver_.mutable_weights()->Assign(paths.begin(), paths.end());
    return absl::OkStatus();
  }

  const StateChoice choice_;
  const StorageTable storage_;
  SolverBundle bundle_;
  caffe::SolverParameter solver_;
  std::unique_ptr<SourceMap> source_map_;
  // The net that is trained, if its tests may use it too.
  std::optional<NetSource> generic_;
};

}  // namespace

absl::StatusOr<SolverBundle> LoadSolver(const std::string& path, const StateChoice& choice, absl::Status* values,
                                        const StorageTable& storage) {
  return BundleLoader(path, choice, storage).Load(values);
}

}  // namespace samovar
