#include "worker/train/fed_net.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/data/dataset.h"

namespace samovar {
namespace {

// Another worker's copy may be good: whatever is wrong with the data here is not the net's fault.
absl::Status DataFault(const absl::Status& status) {
  if (!absl::IsInvalidArgument(status) && !absl::IsUnimplemented(status)) return status;
  return absl::FailedPreconditionError(status.message());
}

absl::StatusOr<std::unique_ptr<BatchFeed>> OpenFeed(const caffe::NetParameter& net, caffe::Phase phase,
                                                    const v1::DatasetSpec& data, uint64_t seed) {
  BatchFeed::Options options;
  SAMOVAR_ASSIGN_OR_RETURN(options.data_layer, FindDataLayer(net));
  auto dataset = Dataset::Open(data.uri());
  if (!dataset.ok()) return DataFault(dataset.status());
  options.dataset = *std::move(dataset);
  options.phase = phase;
  options.spec = data;
  options.seed = seed;
  return BatchFeed::Create(std::move(options));
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
                                  const v1::NetOutputs& outputs, uint64_t seed, ThreadPool* pool) {
  FedNet result;
  SAMOVAR_ASSIGN_OR_RETURN(result.feed, OpenFeed(net, phase, data, seed));
  SAMOVAR_ASSIGN_OR_RETURN(result.net, NetForBatch(net, phase, *result.feed, /*batch_size=*/0, pool));
  if (static_cast<uint32_t>(result.net->batch_size()) != data.batch_size()) {
    return absl::InvalidArgumentError(absl::StrCat("net \"", net.name(), "\" has a batch of ", result.net->batch_size(),
                                                   ", but the job's data is in batches of ", data.batch_size()));
  }
  SAMOVAR_RETURN_IF_ERROR(CheckOutputs(result.net->output_specs(), outputs));
  return result;
}

absl::StatusOr<std::unique_ptr<Net>> NetForBatch(const caffe::NetParameter& net, caffe::Phase phase, const BatchFeed& feed,
                                                 int batch_size, ThreadPool* pool) {
  SAMOVAR_ASSIGN_OR_RETURN(const caffe::LayerParameter layer, FindDataLayer(net));
  const RecordShape shape = feed.shape();
  NetOptions options;
  options.phase = phase;
  options.batch_size = batch_size;
  options.pool = pool;
  std::vector<Shape>& tops = options.input_shapes[layer.name()];
  tops.push_back({shape.channels, shape.height, shape.width});
  if (layer.top_size() > 1) tops.push_back({});
  return Net::Create(net, options);
}

std::span<float> DataOf(Net* net) { return net->inputs()[0].tops[0]; }

std::span<float> LabelsOf(Net* net) {
  const std::vector<std::span<float>>& tops = net->inputs()[0].tops;
  return tops.size() > 1 ? tops[1] : std::span<float>();
}

absl::Status CheckSameLayout(const v1::ParameterLayout& ours, const v1::ParameterLayout& jobs) {
  for (int i = 0; i < std::max(ours.blobs_size(), jobs.blobs_size()); ++i) {
    const std::string here = Describe(ours, i);
    const std::string there = Describe(jobs, i);
    if (here == there) continue;
    return absl::InvalidArgumentError(absl::StrCat("the net's parameters are not those that the job was submitted with: ",
                                                   here, " here, ", there,
                                                   " there; are the command and the workers of the same version?"));
  }
  if (ours.elements() != jobs.elements()) {
    return absl::InvalidArgumentError(absl::StrCat("the net has ", ours.elements(), " parameters here, but ",
                                                   jobs.elements(), " where the job was submitted"));
  }
  return absl::OkStatus();
}

}  // namespace samovar
