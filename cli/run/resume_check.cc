#include "cli/run/resume_check.h"

#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/caffe/error_list.h"
#include "common/model/layout.h"

namespace samovar {
namespace {

constexpr absl::string_view kThatRun = "the run that is to be resumed";

// By layer and number.
using Parameters = std::map<std::pair<std::string, uint32_t>, const v1::ParameterBlob*>;

Parameters ParametersOf(const v1::ParameterLayout& layout) {
  Parameters parameters;
  for (const v1::ParameterBlob& blob : layout.blobs()) parameters[{blob.layer(), blob.index()}] = &blob;
  return parameters;
}

std::string ShapeText(const v1::ParameterBlob& blob) { return absl::StrJoin(blob.shape(), "x"); }

// The beginning of a message about the layer of that name; about the net if it has no such layer.
std::string PlaceOf(const CheckedJob& job, const std::string& layer) {
  const caffe::NetParameter& net = job.spec.train_net();
  int number = 0;
  while (number < net.layer_size() && net.layer(number).name() != layer) ++number;
  return job.train_origin.Prefix(number < net.layer_size() ? number : -1);
}

// A line for each layer that differs.
void CompareNets(const v1::ParameterLayout& before, const CheckedJob& job, ErrorList* errors) {
  if (LayoutFingerprint(before) == LayoutFingerprint(job.spec.layout())) return;
  const Parameters theirs = ParametersOf(before);
  const Parameters ours = ParametersOf(job.spec.layout());
  std::set<std::string> told;
  const auto differs = [&](const std::string& layer, const std::string& how) {
    if (!told.insert(layer).second) return;
    errors->Add(absl::FailedPreconditionError(absl::StrCat(PlaceOf(job, layer), "layer \"", layer, "\": ", how)));
  };
  for (const auto& [name, blob] : ours) {
    const auto found = theirs.find(name);
    if (found == theirs.end()) {
      differs(name.first, absl::StrCat("its parameter ", name.second, " is new: ", kThatRun, " had none"));
    } else if (ShapeText(*blob) != ShapeText(*found->second)) {
      differs(name.first, absl::StrCat("its parameter ", name.second, " is ", ShapeText(*blob), ", but in ", kThatRun,
                                       " it was ", ShapeText(*found->second)));
    }
  }
  for (const auto& [name, blob] : theirs) {
    if (!ours.contains(name)) {
      differs(name.first, absl::StrCat("its parameter ", name.second, ", which ", kThatRun, " had, is missing"));
    }
  }
  if (!told.empty()) return;
  errors->Add(absl::FailedPreconditionError(
      absl::StrCat(job.train_origin.Prefix(-1), "the layers with parameters are in another order than in ", kThatRun)));
}

}  // namespace

absl::Status CheckResumes(const RunRecord& before, const std::optional<v1::ParameterLayout>& net,
                          const CheckedJob& job) {
  const caffe::SolverParameter& solver = job.spec.solver();
  ErrorList errors;
  if (before.snapshot > static_cast<uint64_t>(solver.max_iter())) {
    errors.Add(absl::FailedPreconditionError(absl::StrCat(job.places.max_iter, ": max_iter is ", solver.max_iter(),
                                                          ", but the newest snapshot of ", kThatRun,
                                                          " is of iteration ", before.snapshot)));
  }
  if (!before.solver_type.empty() && before.solver_type != solver.type()) {
    errors.Add(absl::FailedPreconditionError(absl::StrCat(job.places.type, ": the solver's type is ", solver.type(),
                                                          ", but in ", kThatRun, " it was ", before.solver_type)));
  }
  if (net.has_value()) CompareNets(*net, job, &errors);
  const absl::Status status = errors.ToStatus();
  if (status.ok()) return status;
  return absl::Status(status.code(),
                      absl::StrCat(status.message(), "; resume it with the solver and the net that it had ",
                                   "(max_iter may be higher), or begin anew with --restart"));
}

std::string DescribeOtherSolver(const caffe::SolverParameter& before, const CheckedJob& job) {
  const caffe::SolverParameter& solver = job.spec.solver();
  if (!before.has_base_lr() || before.base_lr() == solver.base_lr()) return "";
  return absl::StrCat("base_lr is ", solver.base_lr(), ", but in ", kThatRun, " it was ", before.base_lr(),
                      "; it goes on with ", solver.base_lr());
}

}  // namespace samovar
