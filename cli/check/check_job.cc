#include "cli/check/check_job.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/check/check_net.h"
#include "cli/check/model_size.h"
#include "cli/check/wrong_file.h"
#include "common/base/status_macros.h"
#include "common/caffe/error_list.h"
#include "common/caffe/solver_bundle.h"
#include "common/caffe/utf8_fields.h"
#include "common/model/job_data.h"
#include "common/model/job_name.h"
#include "common/model/layout.h"
#include "worker/feed/open_reader.h"
#include "worker/nn/layer_registry.h"

namespace samovar {
namespace {

std::string BlobName(const v1::ParameterBlob& blob) { return absl::StrCat(blob.layer(), " ", blob.index()); }

std::string ShapeText(const v1::ParameterBlob& blob) { return absl::StrJoin(blob.shape(), "x"); }

// The beginning of a message about the layer of that name; the first layer with parameters has the name.
std::string PlaceOf(const NetToCheck& net, const std::string& layer) {
  int number = 0;
  while (number < net.param.layer_size() && net.param.layer(number).name() != layer) ++number;
  return net.origin->Prefix(number);
}

// A test net computes with the train net's weights, layer by layer: it may lack some, but have none of its own.
absl::Status CheckSharesWeights(const v1::ParameterLayout& train, const NetToCheck& net,
                                const v1::ParameterLayout& test) {
  std::map<std::string, const v1::ParameterBlob*> trained;
  for (const v1::ParameterBlob& blob : train.blobs()) trained[BlobName(blob)] = &blob;
  ErrorList errors;
  for (const v1::ParameterBlob& blob : test.blobs()) {
    const auto found = trained.find(BlobName(blob));
    if (found == trained.end()) {
      errors.Add(absl::InvalidArgumentError(
          absl::StrCat(PlaceOf(net, blob.layer()), "layer \"", blob.layer(),
                       "\" has parameters that the TRAIN net does not train; give it the name of ",
                       "the layer whose weights it is to use")));
    } else if (ShapeText(*found->second) != ShapeText(blob)) {
      errors.Add(absl::InvalidArgumentError(absl::StrCat(
          PlaceOf(net, blob.layer()), "layer \"", blob.layer(), "\": parameter ", blob.index(), " is ", ShapeText(blob),
          ", in the TRAIN net it is ", ShapeText(*found->second), "; make the two layers alike")));
    }
  }
  return errors.ToStatus();
}

absl::Status AddTrainNet(const NetToCheck& net, v1::JobSpec* spec, std::vector<std::string>* warnings) {
  absl::StatusOr<CheckedNet> checked = CheckNet(net);
  SAMOVAR_RETURN_IF_ERROR(checked.status());
  const std::string place = net.origin->Prefix(-1);
  if (checked->layout.elements() == 0) {
    return absl::InvalidArgumentError(absl::StrCat(place, "no layer has parameters, so there is nothing to train"));
  }
  if (const absl::Status status = CheckLayout(checked->layout); !status.ok()) {
    return absl::Status(status.code(), absl::StrCat(place, status.message()));
  }
  warnings->insert(warnings->end(), checked->warnings.begin(), checked->warnings.end());
  *spec->mutable_train_net() = net.param;
  *spec->mutable_train_data() = std::move(checked->data);
  *spec->mutable_layout() = std::move(checked->layout);
  // A push merges the statistics of all parts, and each part has made the older ones count less.
  for (v1::ParameterBlob& blob : *spec->mutable_layout()->mutable_blobs()) {
    const auto parts = static_cast<float>(net.parts);
    blob.set_moving_average_fraction(std::pow(blob.moving_average_fraction(), parts));
  }
  *spec->mutable_train_outputs() = std::move(checked->outputs);
  return AddNetFiles(net.param, spec, net.storage);
}

// `trained`: the train net is in the job.
absl::Status AddTestNet(const NetToCheck& net, bool trained, v1::JobSpec* spec, std::vector<std::string>* warnings) {
  SAMOVAR_ASSIGN_OR_RETURN(CheckedNet checked, CheckNet(net));
  if (trained) SAMOVAR_RETURN_IF_ERROR(CheckSharesWeights(spec->layout(), net, checked.layout));
  warnings->insert(warnings->end(), checked.warnings.begin(), checked.warnings.end());
  *spec->add_test_nets() = net.param;
  *spec->add_test_data() = std::move(checked.data);
  *spec->add_test_outputs() = std::move(checked.outputs);
  return AddNetFiles(net.param, spec, net.storage);
}

// Adds the errors of a test net, but for those of layers that are wrong in the train net as well.
void AddTestErrors(const absl::Status& status, const NetOrigin& train, const NetOrigin& test, ErrorList* errors) {
  for (const absl::string_view line : absl::StrSplit(status.message(), '\n')) {
    const absl::string_view place = line.substr(0, line.find(absl::StrCat(": ", test.name, ": ")));
    if (errors->HasLineThatBegins(absl::StrCat(place, ": ", train.name, ": "))) continue;
    errors->Add(absl::Status(status.code(), line));
  }
}

// Builds all nets of the solver, so that one message lists the errors of all.
absl::Status AddNets(const SolverBundle& bundle, const StorageTable& storage, v1::JobSpec* spec,
                     std::vector<std::string>* warnings) {
  const auto parts = static_cast<uint32_t>(std::max(1, bundle.solver.iter_size()));
  ErrorList errors;
  NetToCheck train = {bundle.train_net, caffe::TRAIN, parts, bundle.solver_path};
  train.origin = &bundle.train_origin;
  train.storage = storage;
  const absl::Status trained = AddTrainNet(train, spec, warnings);
  errors.Add(trained);
  for (size_t i = 0; i < bundle.test_nets.size(); ++i) {
    NetToCheck test = {bundle.test_nets[i], caffe::TEST, 1, bundle.solver_path};
    test.origin = &bundle.test_origins[i];
    test.storage = storage;
    const absl::Status tested = AddTestNet(test, trained.ok(), spec, warnings);
    if (!tested.ok()) AddTestErrors(tested, bundle.train_origin, bundle.test_origins[i], &errors);
  }
  return errors.ToStatus();
}

// So many batches that a test has each record once (test_plan.h). A net without a data layer has no records to be all
// of.
void TakeAllRecords(const v1::JobSpec& spec, caffe::SolverParameter* solver) {
  for (int net = 0; net < spec.test_data_size(); ++net) {
    const v1::DatasetSpec& data = spec.test_data(net);
    const uint64_t batches = (data.records() + data.batch_size() - 1) / data.batch_size();
    if (batches > 0) solver->set_test_iter(net, static_cast<int>(std::min<uint64_t>(batches, INT32_MAX)));
  }
}

void AddFeedWarnings(const caffe::NetParameter& net, std::vector<std::string>* warnings) {
  const auto layers = FindFedLayers(net);
  if (!layers.ok()) return;
  for (const caffe::LayerParameter* layer : *layers) {
    for (std::string& warning : FeedWarnings(*layer)) warnings->push_back(std::move(warning));
  }
}

// A layer of several nets is named once.
void AddUnusedWarnings(const caffe::NetParameter& net, const NetOrigin& origin, std::vector<std::string>* warnings) {
  for (int i = 0; i < net.layer_size(); ++i) {
    const caffe::LayerParameter& layer = net.layer(i);
    for (const std::string& field : UnusedFields(layer)) {
      std::string warning = absl::StrCat(origin.layers[static_cast<size_t>(i)], ": layer \"", layer.name(), "\" (",
                                         layer.type(), "): ", field, " has no effect on a layer of this type");
      if (std::find(warnings->begin(), warnings->end(), warning) == warnings->end())
        warnings->push_back(std::move(warning));
    }
  }
}

// `values`: receives the errors in the solver's values; nets and data are checked all the same.
absl::StatusOr<CheckedJob> CheckAll(const std::string& solver_path, const StartFrom& from, const JobChoice& choice,
                                    absl::Status* values) {
  absl::StatusOr<SolverBundle> loaded = LoadSolver(solver_path, choice.state, values, choice.storage);
  if (!loaded.ok())
    return ExplainWrongFile(loaded.status(), solver_path, kTrainFlags.text, kTrainFlags, choice.storage);
  SolverBundle bundle = *std::move(loaded);
  CheckedJob job;
  job.snapshot_prefix = bundle.solver.snapshot_prefix();
  job.warnings = std::move(bundle.warnings);
  job.spec.set_job_id(JobIdOf(job.snapshot_prefix));
  job.spec.mutable_consistency()->set_mode(v1::CONSISTENCY_ASYNC);
  AddFeedWarnings(bundle.train_net, &job.warnings);
  AddUnusedWarnings(bundle.train_net, bundle.train_origin, &job.warnings);
  for (size_t i = 0; i < bundle.test_nets.size(); ++i) {
    AddUnusedWarnings(bundle.test_nets[i], bundle.test_origins[i], &job.warnings);
  }
  SAMOVAR_RETURN_IF_ERROR(AddNets(bundle, choice.storage, &job.spec, &job.warnings));
  // The checks below depend on the values.
  if (!values->ok()) return job;
  SAMOVAR_RETURN_IF_ERROR(Annotate(CheckModelSize(bundle.solver, bundle.train_net, job.spec.layout()), solver_path));
  SAMOVAR_ASSIGN_OR_RETURN(CheckedStart start, CheckStart(from, bundle, job.spec.layout(), choice.storage));
  if (start.initial_model.ByteSizeLong() > 0) *job.spec.mutable_initial_model() = std::move(start.initial_model);
  if (start.restored.has_value()) {
    job.spec.set_chunk_elements(start.restored->chunk_elements());
    job.restored = std::move(*start.restored->mutable_spec());
    for (const std::string& other : DescribeOtherData(*job.restored, job.spec)) {
      job.warnings.push_back(absl::StrCat(other, "; the snapshot's weights were trained on the former ones"));
    }
  }
  job.first_iteration = start.iteration;
  job.start = std::move(start.description);
  job.warnings.insert(job.warnings.end(), start.warnings.begin(), start.warnings.end());
  job.train_origin = std::move(bundle.train_origin);
  job.places = std::move(bundle.places);
  if (choice.test_all) TakeAllRecords(job.spec, &bundle.solver);
  *job.spec.mutable_solver() = std::move(bundle.solver);
  // They are in the initial model, as paths that do not depend on where one is.
  job.spec.mutable_solver()->clear_weights();
  // Relative names were UTF-8 where they stood; the current directory may not be.
  SAMOVAR_RETURN_IF_ERROR(CheckUtf8Fields(job.spec, [&](const auto&) { return solver_path; }));
  return job;
}

}  // namespace

std::string JobIdOf(const std::string& snapshot_prefix) {
  std::string id = snapshot_prefix.substr(snapshot_prefix.find_last_of('/') + 1);
  for (char& c : id) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '_' && c != '.') c = '-';
  }
  // As CheckNewJobName demands.
  id = id.substr(std::min(id.size(), id.find_first_not_of("-."))).substr(0, kMaxJobNameLength);
  return id.empty() ? "job" : id;
}

absl::StatusOr<CheckedJob> CheckJob(const std::string& solver_path, const StartFrom& from, const JobChoice& choice) {
  absl::Status values;
  absl::StatusOr<CheckedJob> job = CheckAll(solver_path, from, choice, &values);
  if (values.ok()) return job;
  if (job.ok()) return values;
  return absl::Status(values.code(), absl::StrCat(values.message(), "\n", job.status().message()));
}

}  // namespace samovar
