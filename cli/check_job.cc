#include "cli/check_job.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/caffe/solver_bundle.h"
#include "common/data/dataset.h"
#include "common/data/iteration_schedule.h"
#include "common/model/layout.h"
#include "worker/feed/transformer.h"
#include "worker/nn/net.h"

namespace samovar {
namespace {

constexpr size_t kMaxJobIdLength = 64;
// Partitions of the training data: enough for workers to have their own, each with several batches.
constexpr uint64_t kMaxPartitions = 16;
constexpr uint64_t kBatchesAPartition = 8;

// A net of the job with its data: what the coordinator and the workers have to know of it.
struct CheckedNet {
  v1::DatasetSpec data;
  v1::ParameterLayout layout;
  v1::NetOutputs outputs;
};

uint32_t ChoosePartitions(uint64_t records, uint32_t batch_size) {
  const uint64_t partitions = records / (batch_size * kBatchesAPartition);
  return static_cast<uint32_t>(std::clamp<uint64_t>(partitions, 1, kMaxPartitions));
}

absl::Status DescribeData(const caffe::LayerParameter& layer, caffe::Phase phase, const Dataset& dataset,
                          v1::DatasetSpec* spec) {
  SAMOVAR_ASSIGN_OR_RETURN(const int stated, BatchSizeOf(layer));
  const uint32_t batch_size = static_cast<uint32_t>(stated);
  spec->set_layer(layer.name());
  spec->set_uri(dataset.path());
  spec->set_records(dataset.size());
  spec->set_channels(dataset.shape().channels);
  spec->set_height(dataset.shape().height);
  spec->set_width(dataset.shape().width);
  spec->set_batch_size(batch_size);
  spec->set_partitions(phase == caffe::TRAIN ? ChoosePartitions(dataset.size(), batch_size) : 1);
  if (phase != caffe::TRAIN) return absl::OkStatus();
  IterationSchedule::Options schedule;
  schedule.records = spec->records();
  schedule.batch_size = batch_size;
  schedule.partitions = spec->partitions();
  return IterationSchedule::Create(schedule).status();
}

absl::StatusOr<std::shared_ptr<Dataset>> OpenData(const caffe::LayerParameter& layer) {
  const std::string& source = layer.data_param().source();
  if (source.empty()) return absl::InvalidArgumentError("data_param.source is missing; name the directory of an LMDB");
  return Dataset::Open(source);
}

absl::StatusOr<CheckedNet> CheckNet(const caffe::NetParameter& param, caffe::Phase phase) {
  CheckedNet checked;
  SAMOVAR_ASSIGN_OR_RETURN(const caffe::LayerParameter layer, FindDataLayer(param));
  NetOptions options;
  options.phase = phase;
  const absl::Status data_status = [&]() -> absl::Status {
    SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<Dataset> dataset, OpenData(layer));
    SAMOVAR_RETURN_IF_ERROR(DescribeData(layer, phase, *dataset, &checked.data));
    SAMOVAR_ASSIGN_OR_RETURN(const Transformer transformer,
                             Transformer::Create(layer.transform_param(), phase, dataset->shape()));
    const RecordShape shape = transformer.output_shape();
    std::vector<Shape>& tops = options.input_shapes[layer.name()];
    tops.push_back({shape.channels, shape.height, shape.width});
    if (layer.top_size() > 1) tops.push_back({});
    return absl::OkStatus();
  }();
  SAMOVAR_RETURN_IF_ERROR(Annotate(data_status, absl::StrCat("layer \"", layer.name(), "\"")));
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<Net> net, Net::Create(param, options));
  checked.layout = net->layout();
  checked.outputs = net->output_specs();
  return checked;
}

std::string BlobName(const v1::ParameterBlob& blob) { return absl::StrCat(blob.layer(), " ", blob.index()); }

std::string ShapeText(const v1::ParameterBlob& blob) { return absl::StrJoin(blob.shape(), "x"); }

// A test net computes with the train net's weights, layer by layer: it may lack some, but have none of its own.
absl::Status CheckSharesWeights(const v1::ParameterLayout& train, const v1::ParameterLayout& test) {
  std::map<std::string, const v1::ParameterBlob*> trained;
  for (const v1::ParameterBlob& blob : train.blobs()) trained[BlobName(blob)] = &blob;
  for (const v1::ParameterBlob& blob : test.blobs()) {
    const auto found = trained.find(BlobName(blob));
    if (found == trained.end()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "layer \"", blob.layer(), "\" has parameters that the TRAIN net does not train; give it the name of the ",
          "layer whose weights it is to use"));
    }
    if (ShapeText(*found->second) != ShapeText(blob)) {
      return absl::InvalidArgumentError(absl::StrCat("layer \"", blob.layer(), "\": parameter ", blob.index(), " is ",
                                                     ShapeText(blob), ", in the TRAIN net it is ",
                                                     ShapeText(*found->second), "; make the two layers alike"));
    }
  }
  return absl::OkStatus();
}

absl::Status AddTrainNet(const caffe::NetParameter& param, v1::JobSpec* spec) {
  absl::StatusOr<CheckedNet> checked = CheckNet(param, caffe::TRAIN);
  SAMOVAR_RETURN_IF_ERROR(Annotate(checked.status(), "TRAIN net"));
  if (checked->layout.elements() == 0) {
    return absl::InvalidArgumentError("TRAIN net: no layer has parameters, so there is nothing to train");
  }
  SAMOVAR_RETURN_IF_ERROR(Annotate(CheckLayout(checked->layout), "TRAIN net"));
  *spec->mutable_train_net() = param;
  *spec->mutable_train_data() = std::move(checked->data);
  *spec->mutable_layout() = std::move(checked->layout);
  *spec->mutable_train_outputs() = std::move(checked->outputs);
  return absl::OkStatus();
}

absl::Status AddTestNet(const caffe::NetParameter& param, v1::JobSpec* spec) {
  const std::string name = absl::StrCat("TEST net #", spec->test_nets_size());
  absl::StatusOr<CheckedNet> checked = CheckNet(param, caffe::TEST);
  SAMOVAR_RETURN_IF_ERROR(Annotate(checked.status(), name));
  SAMOVAR_RETURN_IF_ERROR(Annotate(CheckSharesWeights(spec->layout(), checked->layout), name));
  *spec->add_test_nets() = param;
  *spec->add_test_data() = std::move(checked->data);
  *spec->add_test_outputs() = std::move(checked->outputs);
  return absl::OkStatus();
}

}  // namespace

std::string JobIdOf(const std::string& snapshot_prefix) {
  std::string id = snapshot_prefix.substr(snapshot_prefix.find_last_of('/') + 1).substr(0, kMaxJobIdLength);
  for (char& c : id) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '_' && c != '.') c = '-';
  }
  return id.empty() ? "job" : id;
}

absl::StatusOr<CheckedJob> CheckJob(const std::string& solver_path, const StartFrom& from) {
  SAMOVAR_ASSIGN_OR_RETURN(SolverBundle bundle, LoadSolver(solver_path));
  CheckedJob job;
  job.snapshot_prefix = bundle.solver.snapshot_prefix();
  job.warnings = std::move(bundle.warnings);
  job.spec.set_job_id(JobIdOf(job.snapshot_prefix));
  job.spec.set_mode(v1::CONSISTENCY_ASYNC);
  SAMOVAR_RETURN_IF_ERROR(AddTrainNet(bundle.train_net, &job.spec));
  for (const caffe::NetParameter& test_net : bundle.test_nets) {
    SAMOVAR_RETURN_IF_ERROR(AddTestNet(test_net, &job.spec));
  }
  SAMOVAR_ASSIGN_OR_RETURN(CheckedStart start, CheckStart(from, solver_path, bundle.solver, job.spec.layout()));
  if (start.initial_model.ByteSizeLong() > 0) *job.spec.mutable_initial_model() = std::move(start.initial_model);
  job.first_iteration = start.iteration;
  job.start = std::move(start.description);
  job.warnings.insert(job.warnings.end(), start.warnings.begin(), start.warnings.end());
  *job.spec.mutable_solver() = std::move(bundle.solver);
  // They are in the initial model, as paths that do not depend on where one is.
  job.spec.mutable_solver()->clear_weights();
  return job;
}

}  // namespace samovar
