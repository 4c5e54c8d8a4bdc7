#include "common/caffe/hdf5_model.h"

#include <cstdint>
#include <limits>
#include <memory>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"
#include "common/caffe/blob_proto.h"
#include "common/caffe/hdf5_archive.h"

namespace samovar {
namespace {

// A hundred times as many as nets have; a damaged file may have groups that hold themselves.
constexpr int kMaxBlobsOfLayer = 1024;
constexpr int kMaxDepth = 16;
constexpr int kMaxGroups = 100000;
// 256 GiB of them.
constexpr int64_t kMaxValues = int64_t{1} << 36;
// The most values that a blob in memory can have.
constexpr int64_t kMaxValuesOfBlob = std::numeric_limits<int32_t>::max();

absl::Status Damaged(const std::string& path, absl::string_view what) {
  return absl::DataLossError(absl::StrCat("\"", path, "\" ", what, "; the file is damaged, or of another kind"));
}

// The number that names a blob's dataset; -1 if the name is no number.
int IndexOf(const std::string& name) {
  int index = 0;
  const bool number = absl::SimpleAtoi(name, &index) && index >= 0 && absl::StrCat(index) == name;
  return number ? index : -1;
}

class Decoder {
 public:
  explicit Decoder(const Hdf5Archive& file) : file_(file) {}

  absl::StatusOr<caffe::NetParameter> Model() && {
    if (!file_.Has("data")) {
      return Damaged("data", file_.Has("history") ? "is missing: this is a solver state, not a model" : "is missing");
    }
    SAMOVAR_RETURN_IF_ERROR(Layers("data", "", 0));
    if (model_.layer_size() == 0) return Damaged("data", "has no layers");
    return std::move(model_);
  }

  absl::StatusOr<caffe::SolverState> State() && {
    caffe::SolverState state;
    if (!file_.Has("history") && file_.Has("data")) {
      return Damaged("history", "is missing: this is a model, not a solver state");
    }
    SAMOVAR_ASSIGN_OR_RETURN(const int32_t iteration, Count("iter"));
    SAMOVAR_ASSIGN_OR_RETURN(const int32_t step, Count("current_step"));
    state.set_iter(iteration);
    state.set_current_step(step);
    if (file_.Has("learned_net")) {
      SAMOVAR_ASSIGN_OR_RETURN(*state.mutable_learned_net(), file_.ReadText("learned_net"));
    }
    SAMOVAR_ASSIGN_OR_RETURN(const std::vector<Hdf5Archive::Entry> entries, file_.List("history"));
    for (size_t i = 0; i < entries.size(); ++i) {
      const std::string path = absl::StrCat("history/", i);
      if (!file_.Has(path)) return Damaged(path, absl::StrCat("is missing of ", entries.size()));
      SAMOVAR_RETURN_IF_ERROR(Blob(path, state.add_history()));
    }
    return state;
  }

 private:
  absl::StatusOr<int32_t> Count(const std::string& path) {
    SAMOVAR_ASSIGN_OR_RETURN(const int64_t count, file_.ReadInt(path));
    if (count < 0 || count > std::numeric_limits<int32_t>::max()) {
      return Damaged(path, absl::StrCat("is ", count, ", which is impossible"));
    }
    return static_cast<int32_t>(count);
  }

  absl::Status Blob(const std::string& path, caffe::BlobProto* blob) {
    SAMOVAR_ASSIGN_OR_RETURN(const std::vector<int64_t> shape, file_.ShapeOfFloats(path));
    const int64_t values = ElementsOf(shape);
    if (values < 0 || values > kMaxValues - values_ || values > kMaxValuesOfBlob) {
      return Damaged(path, absl::StrCat("has more values than a model can have, ", kMaxValues, " in all and ",
                                        kMaxValuesOfBlob, " in a blob"));
    }
    values_ += values;
    blob->mutable_shape()->mutable_dim()->Assign(shape.begin(), shape.end());
    blob->mutable_data()->Resize(static_cast<int>(values), 0);
    return file_.ReadFloats(path, std::span(blob->mutable_data()->mutable_data(), static_cast<size_t>(values)));
  }

  // The layers in a group, whose names begin with `prefix`.
  absl::Status Layers(const std::string& group, const std::string& prefix, int depth) {
    if (depth > kMaxDepth || ++groups_ > kMaxGroups) return Damaged(group, "has too many groups, or holds itself");
    SAMOVAR_ASSIGN_OR_RETURN(const std::vector<Hdf5Archive::Entry> entries, file_.List(group));
    for (const Hdf5Archive::Entry& entry : entries) {
      const std::string path = absl::StrCat(group, "/", entry.name);
      if (entry.is_group) {
        SAMOVAR_RETURN_IF_ERROR(Layer(path, prefix + entry.name, depth));
      } else if (depth == 0) {
        return Damaged(path, "is not the group of a layer");
      }
    }
    return absl::OkStatus();
  }

  absl::Status Layer(const std::string& group, const std::string& name, int depth) {
    SAMOVAR_ASSIGN_OR_RETURN(const std::vector<Hdf5Archive::Entry> entries, file_.List(group));
    caffe::LayerParameter layer;
    layer.set_name(name);
    int inner_groups = 0;
    for (const Hdf5Archive::Entry& entry : entries) {
      inner_groups += entry.is_group ? 1 : 0;
      if (entry.is_group) continue;
      const std::string path = absl::StrCat(group, "/", entry.name);
      const int index = IndexOf(entry.name);
      if (index < 0 || index >= kMaxBlobsOfLayer) return Damaged(path, "is not named by the index of a blob");
      while (layer.blobs_size() <= index) layer.add_blobs();
      SAMOVAR_RETURN_IF_ERROR(Blob(path, layer.mutable_blobs(index)));
    }
    // A group of nothing but groups is only the first part of their layers' names.
    if (layer.blobs_size() > 0 || inner_groups == 0) *model_.add_layer() = std::move(layer);
    return inner_groups > 0 ? Layers(group, name + "/", depth + 1) : absl::OkStatus();
  }

  const Hdf5Archive& file_;
  caffe::NetParameter model_;
  int groups_ = 0;
  int64_t values_ = 0;
};

absl::Status WriteBlob(const std::string& path, const caffe::BlobProto& blob, Hdf5Archive* file) {
  if (blob.double_data_size() == 0 && ElementsOf(ShapeOf(blob)) == blob.data_size()) {
    return file->WriteFloats(path, ShapeOf(blob), std::span(blob.data().data(), static_cast<size_t>(blob.data_size())));
  }
  caffe::BlobProto floats = blob;
  const absl::Status fits = CheckBlob(path, &floats);
  if (!fits.ok()) return absl::InvalidArgumentError(fits.message());
  return file->WriteFloats(path, ShapeOf(floats),
                           std::span(floats.data().data(), static_cast<size_t>(floats.data_size())));
}

bool IsPath(const std::string& name) {
  for (const absl::string_view part : absl::StrSplit(name, '/')) {
    if (part.empty() || part == ".") return false;
  }
  return name.find('\0') == std::string::npos;
}

}  // namespace

absl::StatusOr<caffe::NetParameter> DecodeHdf5Model(const std::string& bytes) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<Hdf5Archive> file, Hdf5Archive::Open(bytes));
  return Decoder(*file).Model();
}

absl::StatusOr<caffe::SolverState> DecodeHdf5State(const std::string& bytes) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<Hdf5Archive> file, Hdf5Archive::Open(bytes));
  return Decoder(*file).State();
}

absl::StatusOr<std::string> EncodeHdf5Model(const caffe::NetParameter& model) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<Hdf5Archive> file, Hdf5Archive::Create());
  SAMOVAR_RETURN_IF_ERROR(file->MakeGroup("data"));
  std::set<std::string> names;
  std::set<std::string> shared;
  for (const caffe::LayerParameter& layer : model.layer()) {
    if (!IsPath(layer.name()) || !names.insert(layer.name()).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("HDF5 cannot hold a layer named \"", layer.name(), "\", or two of that name; rename it"));
    }
    const std::string group = absl::StrCat("data/", layer.name());
    SAMOVAR_RETURN_IF_ERROR(file->MakeGroup(group));
    for (int i = 0; i < layer.blobs_size(); ++i) {
      const std::string name = i < layer.param_size() ? layer.param(i).name() : "";
      if (!name.empty() && !shared.insert(name).second) continue;
      SAMOVAR_RETURN_IF_ERROR(WriteBlob(absl::StrCat(group, "/", i), layer.blobs(i), file.get()));
    }
  }
  return file->Bytes();
}

absl::StatusOr<std::string> EncodeHdf5State(const caffe::SolverState& state) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<Hdf5Archive> file, Hdf5Archive::Create());
  SAMOVAR_RETURN_IF_ERROR(file->WriteInt("iter", state.iter()));
  SAMOVAR_RETURN_IF_ERROR(file->WriteText("learned_net", state.learned_net()));
  SAMOVAR_RETURN_IF_ERROR(file->WriteInt("current_step", state.current_step()));
  SAMOVAR_RETURN_IF_ERROR(file->MakeGroup("history"));
  for (int i = 0; i < state.history_size(); ++i) {
    SAMOVAR_RETURN_IF_ERROR(WriteBlob(absl::StrCat("history/", i), state.history(i), file.get()));
  }
  return file->Bytes();
}

}  // namespace samovar
