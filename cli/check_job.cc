#include "cli/check_job.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/check_net.h"
#include "common/base/status_macros.h"
#include "common/caffe/solver_bundle.h"
#include "common/model/layout.h"
#include "worker/feed/open_reader.h"
#include "worker/nn/layer_registry.h"

namespace samovar {
namespace {

constexpr size_t kMaxJobIdLength = 64;

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

absl::Status AddTrainNet(const NetToCheck& net, v1::JobSpec* spec) {
  absl::StatusOr<CheckedNet> checked = CheckNet(net);
  SAMOVAR_RETURN_IF_ERROR(Annotate(checked.status(), "TRAIN net"));
  if (checked->layout.elements() == 0) {
    return absl::InvalidArgumentError("TRAIN net: no layer has parameters, so there is nothing to train");
  }
  SAMOVAR_RETURN_IF_ERROR(Annotate(CheckLayout(checked->layout), "TRAIN net"));
  *spec->mutable_train_net() = net.param;
  *spec->mutable_train_data() = std::move(checked->data);
  *spec->mutable_layout() = std::move(checked->layout);
  // A push merges the statistics of all parts, each of which has made the older ones count less.
  for (v1::ParameterBlob& blob : *spec->mutable_layout()->mutable_blobs()) {
    const auto parts = static_cast<float>(net.parts);
    blob.set_moving_average_fraction(std::pow(blob.moving_average_fraction(), parts));
  }
  *spec->mutable_train_outputs() = std::move(checked->outputs);
  return absl::OkStatus();
}

absl::Status AddTestNet(const NetToCheck& net, v1::JobSpec* spec) {
  const std::string name = absl::StrCat("TEST net #", spec->test_nets_size());
  absl::StatusOr<CheckedNet> checked = CheckNet(net);
  SAMOVAR_RETURN_IF_ERROR(Annotate(checked.status(), name));
  SAMOVAR_RETURN_IF_ERROR(Annotate(CheckSharesWeights(spec->layout(), checked->layout), name));
  *spec->add_test_nets() = net.param;
  *spec->add_test_data() = std::move(checked->data);
  *spec->add_test_outputs() = std::move(checked->outputs);
  return absl::OkStatus();
}

void AddFeedWarnings(const caffe::NetParameter& net, std::vector<std::string>* warnings) {
  const auto layer = FindFedLayer(net);
  if (!layer.ok() || *layer == nullptr) return;
  for (std::string& warning : FeedWarnings(**layer)) warnings->push_back(std::move(warning));
}

// A layer of several nets is named once.
void AddUnusedWarnings(const caffe::NetParameter& net, std::vector<std::string>* warnings) {
  for (const caffe::LayerParameter& layer : net.layer()) {
    for (const std::string& field : UnusedFields(layer)) {
      std::string warning = absl::StrCat("layer \"", layer.name(), "\" (", layer.type(), "): ", field, " has no effect on a layer of this type");
      if (std::find(warnings->begin(), warnings->end(), warning) == warnings->end()) warnings->push_back(std::move(warning));
    }
  }
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
  const auto parts = static_cast<uint32_t>(bundle.solver.iter_size());
  AddFeedWarnings(bundle.train_net, &job.warnings);
  AddUnusedWarnings(bundle.train_net, &job.warnings);
  for (const caffe::NetParameter& test_net : bundle.test_nets) AddUnusedWarnings(test_net, &job.warnings);
  SAMOVAR_RETURN_IF_ERROR(AddTrainNet({bundle.train_net, caffe::TRAIN, parts, solver_path}, &job.spec));
  for (const caffe::NetParameter& test_net : bundle.test_nets) {
    SAMOVAR_RETURN_IF_ERROR(AddTestNet({test_net, caffe::TEST, 1, solver_path}, &job.spec));
  }
  SAMOVAR_ASSIGN_OR_RETURN(CheckedStart start, CheckStart(from, solver_path, bundle.solver, job.spec.layout()));
  if (start.initial_model.ByteSizeLong() > 0) *job.spec.mutable_initial_model() = std::move(start.initial_model);
  if (start.restored.has_value()) {
    job.spec.set_chunk_elements(start.restored->chunk_elements());
    job.restored = std::move(*start.restored->mutable_spec());
  }
  job.first_iteration = start.iteration;
  job.start = std::move(start.description);
  job.warnings.insert(job.warnings.end(), start.warnings.begin(), start.warnings.end());
  *job.spec.mutable_solver() = std::move(bundle.solver);
  // They are in the initial model, as paths that do not depend on where one is.
  job.spec.mutable_solver()->clear_weights();
  return job;
}

}  // namespace samovar
