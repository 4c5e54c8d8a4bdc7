#include "cli/open_model.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/check/check_net.h"
#include "cli/check/wrong_file.h"
#include "cli/report/exit_codes.h"
#include "common/base/status_macros.h"
#include "common/caffe/net_filter.h"
#include "common/caffe/net_sources.h"
#include "common/caffe/upgrade_net.h"
#include "common/model/initial_values.h"
#include "worker/feed/remote_partitions.h"

namespace samovar {
namespace {

absl::StatusOr<InitialValues> ReadValues(const v1::InitialModel& initial, const v1::ParameterLayout& layout,
                                         const StorageTable& storage) {
  auto values = InitialValues::Read(initial, layout, /*vectors=*/1, storage);
  if (!values.ok())
    return ExplainWrongFile(values.status(), initial.weights(0), kModelFlags.model, kModelFlags, storage);
  return values;
}

absl::Status ReadWeights(const std::string& path, OpenModel* model) {
  v1::InitialModel initial;
  initial.add_weights(path);
  SAMOVAR_ASSIGN_OR_RETURN(const InitialValues values, ReadValues(initial, model->layout, model->storage));
  if (!values.other_layers().empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": has no weights for layer \"", values.other_layers().front(),
                                                   "\"", values.other_layers().size() > 1 ? " and others" : "",
                                                   " of the net; was it trained with another net?"));
  }
  values.CopyWeights(model->layout, 0, model->weights);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<caffe::NetParameter> ReadNetInPhase(const std::string& path, caffe::Phase phase,
                                                   const StateChoice& choice, NetOrigin* origin,
                                                   const StorageTable& storage) {
  std::vector<std::string> layers;
  const absl::StatusOr<caffe::NetParameter> read = LoadNet(path, &layers, storage);
  if (!read.ok()) return ExplainWrongFile(read.status(), path, kModelFlags.text, kModelFlags, storage);
  const caffe::NetParameter& whole = *read;
  caffe::NetState state = whole.state();
  state.set_phase(phase);
  ApplyState(choice, &state);
  std::vector<int> kept;
  absl::StatusOr<caffe::NetParameter> net = FilterNet(whole, state, &kept);
  if (!net.ok()) return Annotate(net.status(), path);
  if (net->layer_size() == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": no layer of the net belongs to phase ", caffe::Phase_Name(phase), StateFlags(choice)));
  }
  origin->file = path;
  for (const int layer : kept) origin->layers.push_back(std::move(layers[static_cast<size_t>(layer)]));
  std::vector<std::string> warnings;
  ResolveSources(path, *origin, storage, &*net, &warnings);
  for (const std::string& warning : warnings) PrintWarning(warning);
  return net;
}

absl::StatusOr<OpenModel> OpenModelFiles(const ModelFiles& files, caffe::Phase phase) {
  OpenModel model;
  model.phase = phase;
  model.storage = files.storage;
  model.partitions = std::make_shared<RemotePartitions>(files.storage);
  SAMOVAR_ASSIGN_OR_RETURN(model.param, ReadNetInPhase(files.model, phase, files.state, &model.origin, files.storage));
  NetToCheck net = {model.param, phase, /*parts=*/1, files.model, files.data};
  net.origin = &model.origin;
  net.storage = files.storage;
  SAMOVAR_ASSIGN_OR_RETURN(CheckedNet checked, CheckNet(net));
  for (const std::string& warning : checked.warnings) PrintWarning(warning);
  model.data = std::move(checked.data);
  model.layout = std::move(checked.layout);
  model.outputs = std::move(checked.outputs);
  model.weights.resize(model.layout.elements());
  if (!files.weights.empty()) SAMOVAR_RETURN_IF_ERROR(ReadWeights(files.weights, &model));
  return model;
}

absl::StatusOr<std::unique_ptr<Net>> BuildNetOf(const OpenModel& model, int batch_size, ThreadPool* pool,
                                                bool keep_blobs) {
  NetOptions options;
  options.phase = model.phase;
  options.batch_size = batch_size;
  options.pool = pool;
  options.keep_blobs = keep_blobs;
  options.origin = &model.origin;
  options.input_shapes = TopShapesOf(model.data);
  SAMOVAR_ASSIGN_OR_RETURN(const caffe::NetParameter local, WithFetchedFiles(model.param, model.storage));
  SAMOVAR_ASSIGN_OR_RETURN(std::unique_ptr<Net> net, Net::Create(local, options));
  std::copy(model.weights.begin(), model.weights.end(), net->weights().begin());
  return net;
}

absl::StatusOr<std::unique_ptr<NetFeed>> OpenFeedOf(const OpenModel& model, int threads) {
  NetFeed::Options options;
  options.phase = model.phase;
  options.storage = model.storage;
  options.partitions = model.partitions.get();
  options.threads = threads;
  return NetFeed::Open(model.param, model.data, options);
}

absl::Status FitToRecord(uint64_t begin, NetFeed* feed, Net* net) {
  if (!feed->adapts()) return absl::OkStatus();
  SAMOVAR_ASSIGN_OR_RETURN(const ShapesByLayer shapes, feed->AdaptToRecord(begin));
  return net->input_shapes() == shapes ? absl::OkStatus() : net->Reshape(shapes);
}

std::vector<std::span<float>> FedTops(const OpenModel& model, const Net& net) {
  std::vector<std::span<float>> tops;
  for (const v1::DatasetSpec* layer : LayersOf(model.data)) {
    for (const NetInput& input : net.inputs()) {
      if (input.layer == layer->layer()) tops.insert(tops.end(), input.tops.begin(), input.tops.end());
    }
  }
  return tops;
}

}  // namespace samovar
