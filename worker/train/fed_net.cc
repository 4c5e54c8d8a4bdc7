#include "worker/train/fed_net.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/caffe/net_sources.h"
#include "worker/feed/open_reader.h"

namespace samovar {
namespace {

// Null: neither the net has a data layer, nor the job data.
absl::StatusOr<std::unique_ptr<NetFeed>> OpenFeed(const caffe::NetParameter& net, caffe::Phase phase,
                                                  const v1::DatasetSpec& data, uint64_t seed, uint32_t batches,
                                                  const NetMeans& means) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<const caffe::LayerParameter*> layers, FindFedLayers(net));
  const int threads = means.pool == nullptr ? 1 : means.pool->threads();
  if (data.records() > 0)
    return NetFeed::Open(net, data, {phase, batches, seed, means.partitions, means.storage, threads});
  if (layers.empty()) return nullptr;
  return absl::InvalidArgumentError(absl::StrCat("net \"", net.name(), "\" has the data layer \"", layers[0]->name(),
                                                 "\", but the job has no records"));
}

absl::Status CheckOutputs(const v1::NetOutputs& ours, const v1::NetOutputs& jobs) {
  if (ours.outputs_size() != jobs.outputs_size()) {
    return absl::InvalidArgumentError(absl::StrCat("the net reports ", ours.outputs_size(), " values here, but ",
                                                   jobs.outputs_size(), " where the job was submitted"));
  }
  for (int i = 0; i < ours.outputs_size(); ++i) {
    if (ours.outputs(i).name() == jobs.outputs(i).name()) continue;
    return absl::InvalidArgumentError(absl::StrCat("the net's output ", i, " is \"", ours.outputs(i).name(),
                                                   "\" here, but \"", jobs.outputs(i).name(),
                                                   "\" where the job was submitted"));
  }
  return absl::OkStatus();
}

// "ip1[0] 500x800 at 25570"
std::string Describe(const v1::ParameterLayout& layout, int blob) {
  if (blob >= layout.blobs_size()) return "nothing";
  const v1::ParameterBlob& described = layout.blobs(blob);
  return absl::StrCat(described.layer(), "[", described.index(), "] ", absl::StrJoin(described.shape(), "x"), " at ",
                      described.offset());
}

}  // namespace

absl::StatusOr<FedNet> OpenFedNet(const caffe::NetParameter& net, caffe::Phase phase, const v1::DatasetSpec& data,
                                  const v1::NetOutputs& outputs, uint64_t seed, const NetMeans& means, uint32_t batches,
                                  int batch_size, uint32_t of_parts) {
  FedNet result;
  SAMOVAR_ASSIGN_OR_RETURN(result.feed, OpenFeed(net, phase, data, seed, batches, means));
  SAMOVAR_ASSIGN_OR_RETURN(result.net, NetForBatch(net, phase, data, batch_size, means, of_parts));
  if (static_cast<uint32_t>(result.net->batch_size()) != data.batch_size()) {
    return absl::InvalidArgumentError(absl::StrCat("net \"", net.name(), "\" has a batch of ", result.net->batch_size(),
                                                   ", but the job's data is in batches of ", data.batch_size()));
  }
  SAMOVAR_RETURN_IF_ERROR(CheckOutputs(result.net->output_specs(), outputs));
  return result;
}

absl::StatusOr<std::unique_ptr<Net>> NetForBatch(const caffe::NetParameter& net, caffe::Phase phase,
                                                 const v1::DatasetSpec& data, int batch_size, const NetMeans& means,
                                                 uint32_t of_parts) {
  NetOptions options;
  options.phase = phase;
  options.batch_size = batch_size;
  options.pool = means.pool;
  options.parts = static_cast<int>(of_parts);
  options.input_shapes = TopShapesOf(data);
  SAMOVAR_ASSIGN_OR_RETURN(const caffe::NetParameter local, WithFetchedFiles(net, means.storage));
  return Net::Create(local, options);
}

std::vector<std::span<float>> TopsOf(const Net& net, const v1::DatasetSpec& data) {
  std::vector<std::span<float>> tops;
  for (const v1::DatasetSpec* layer : LayersOf(data)) {
    for (const NetInput& input : net.inputs()) {
      if (input.layer == layer->layer()) tops.insert(tops.end(), input.tops.begin(), input.tops.end());
    }
  }
  return tops;
}

absl::Status FitNet(const ShapesByLayer& shapes, Net* net) {
  if (net->input_shapes() == shapes) return absl::OkStatus();
  return net->Reshape(shapes);
}

absl::Status FinalIfUnreadable(const absl::Status& fed) {
  const bool unreadable = absl::IsNotFound(fed) || absl::IsPermissionDenied(fed) || absl::IsDataLoss(fed);
  return unreadable ? absl::InvalidArgumentError(fed.message()) : fed;
}

absl::Status CheckSameLayout(const v1::ParameterLayout& ours, const v1::ParameterLayout& jobs) {
  for (int i = 0; i < std::max(ours.blobs_size(), jobs.blobs_size()); ++i) {
    const std::string here = Describe(ours, i);
    const std::string there = Describe(jobs, i);
    if (here == there) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("the net's parameters are not those that the job was submitted with: ", here, " here, ", there,
                     " there; are the command and the workers of the same version?"));
  }
  if (ours.elements() != jobs.elements()) {
    return absl::InvalidArgumentError(absl::StrCat("the net has ", ours.elements(), " parameters here, but ",
                                                   jobs.elements(), " where the job was submitted"));
  }
  return absl::OkStatus();
}

}  // namespace samovar
