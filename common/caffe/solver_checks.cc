#include "common/caffe/solver_checks.h"

#include <cmath>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/suggest.h"

namespace samovar {
namespace {

const char* const kPolicies[] = {"fixed", "step", "exp", "inv", "multistep", "poly", "sigmoid"};
const char* const kTypes[] = {"SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"};

template <size_t kCount>
std::vector<std::string> Names(const char* const (&names)[kCount]) {
  return std::vector<std::string>(names, names + kCount);
}

bool Contains(const std::vector<std::string>& names, const std::string& name) {
  for (const std::string& each : names) {
    if (each == name) return true;
  }
  return false;
}

// Collects errors, each with its place.
class Checker {
 public:
  Checker(const caffe::SolverParameter& solver, const SourceMap& source_map, std::vector<std::string>* warnings)
      : solver_(solver), source_map_(source_map), warnings_(warnings) {}

  absl::Status Check() {
    CheckRate();
    CheckPolicy();
    CheckIterations();
    CheckType();
    CheckMomentum();
    CheckDivisor();
    CheckDecay();
    CheckClipping();
    CheckWeights();
    WarnOfGpu();
    WarnOfIgnored();
    WarnOfSnapshots();
    const std::string message = absl::StrJoin(errors_, "\n");
    return errors_.empty() ? absl::OkStatus() : absl::InvalidArgumentError(message);
  }

 private:
  std::string At(absl::string_view field, absl::string_view message) const {
    return absl::StrCat(source_map_.Where(solver_, field), ": ", message);
  }
  void Wrong(absl::string_view field, absl::string_view message) { errors_.push_back(At(field, message)); }
  void Warn(absl::string_view field, absl::string_view message) { warnings_->push_back(At(field, message)); }

  void AtLeast(absl::string_view field, int64_t value, int64_t least) {
    if (value < least) Wrong(field, absl::StrCat(field, " must be at least ", least, ", not ", value));
  }
  void FiniteFromZero(absl::string_view field, float value) {
    if (!(std::isfinite(value) && value >= 0)) {
      Wrong(field, absl::StrCat(field, " must be a finite number and at least 0, not ", value));
    }
  }

  void CheckRate() {
    if (!solver_.has_base_lr()) return Wrong("base_lr", "base_lr is missing; write for example base_lr: 0.01");
    FiniteFromZero("base_lr", solver_.base_lr());
  }

  // The policy's field is there, and is finite if it is a float.
  bool Needs(absl::string_view field, bool there, float value, absl::string_view example) {
    if (!there) {
      Wrong("lr_policy",
            absl::StrCat("lr_policy \"", solver_.lr_policy(), "\" needs ", field, "; write for example ", example));
      return false;
    }
    if (std::isfinite(value)) return true;
    Wrong(field, absl::StrCat(field, " must be a finite number, not ", value));
    return false;
  }
  bool NeedsGamma() { return Needs("gamma", solver_.has_gamma(), solver_.gamma(), "gamma: 0.1"); }
  bool NeedsPower() { return Needs("power", solver_.has_power(), solver_.power(), "power: 0.75"); }

  void CheckPolicy() {
    const std::string& policy = solver_.lr_policy();
    if (policy.empty()) return Wrong("lr_policy", "lr_policy is missing; write for example lr_policy: \"fixed\"");
    if (!Contains(Names(kPolicies), policy)) {
      return Wrong("lr_policy", absl::StrCat("unknown lr_policy \"", policy, "\", expected one of ",
                                             absl::StrJoin(kPolicies, ", "), DidYouMean(policy, Names(kPolicies))));
    }
    if (policy == "fixed") return;
    if (policy != "poly" && NeedsGamma() && policy == "inv" && solver_.gamma() < 0) {
      Wrong("gamma", absl::StrCat("lr_policy \"inv\" needs a gamma of at least 0, not ", solver_.gamma()));
    }
    if ((policy == "inv" || policy == "poly") && NeedsPower() && policy == "poly" && solver_.power() < 0) {
      Wrong("power", absl::StrCat("lr_policy \"poly\" needs a power of at least 0, not ", solver_.power()));
    }
    if (policy == "step" && Needs("stepsize", solver_.has_stepsize(), 0, "stepsize: 5000")) {
      AtLeast("stepsize", solver_.stepsize(), 1);
    }
    if (policy == "sigmoid") Needs("stepsize", solver_.has_stepsize(), 0, "stepsize: 5000");
    if (policy == "multistep") CheckStepValues();
  }

  void CheckStepValues() {
    if (solver_.stepvalue_size() == 0)
      Warn("lr_policy", "lr_policy \"multistep\" without stepvalue never changes the rate");
    for (int i = 0; i < solver_.stepvalue_size(); ++i) {
      if (solver_.stepvalue(i) > (i == 0 ? -1 : solver_.stepvalue(i - 1))) continue;
      errors_.push_back(absl::StrCat(source_map_.Where(solver_, "stepvalue", i),
                                     ": stepvalue must ascend from 0 up, and ", solver_.stepvalue(i), " does not"));
    }
  }

  void CheckIterations() {
    if (!solver_.has_max_iter()) {
      Wrong("max_iter", "max_iter is missing; write for example max_iter: 10000");
    } else {
      AtLeast("max_iter", solver_.max_iter(), 0);
    }
    AtLeast("display", solver_.display(), 0);
    AtLeast("average_loss", solver_.average_loss(), 1);
    AtLeast("snapshot", solver_.snapshot(), 0);
    AtLeast("test_interval", solver_.test_interval(), 0);
    AtLeast("iter_size", solver_.iter_size(), 1);
  }

  void CheckType() {
    if (solver_.has_type() && solver_.has_solver_type()) {
      return Wrong("solver_type", "solver_type is the old way to write type; remove one of the two");
    }
    if (Contains(Names(kTypes), Type())) return;
    Wrong("type", absl::StrCat("unknown type \"", Type(), "\", expected one of ", absl::StrJoin(kTypes, ", "),
                               DidYouMean(Type(), Names(kTypes))));
  }

  std::string Type() const { return SolverType(solver_); }
  bool IsType(absl::string_view type) const { return Type() == type; }
  bool HasDivisor() const { return IsType("AdaGrad") || IsType("RMSProp") || IsType("AdaDelta") || IsType("Adam"); }

  // A share of the old value in a moving average.
  void Share(absl::string_view field, float value) {
    if (!(value >= 0 && value < 1)) {
      Wrong(field, absl::StrCat(field, " must be at least 0 and below 1, not ", value));
    }
  }

  void CheckMomentum() {
    Share("momentum", solver_.momentum());
    if (IsType("Adam")) Share("momentum2", solver_.momentum2());
    if (IsType("RMSProp")) Share("rms_decay", solver_.rms_decay());
    if ((IsType("AdaGrad") || IsType("RMSProp")) && solver_.momentum() != 0) {
      Wrong("momentum", absl::StrCat("type \"", Type(), "\" has no momentum, and this is ", solver_.momentum(),
                                     "; remove it or write momentum: 0"));
    }
  }

  void CheckDivisor() {
    if (!HasDivisor() || (std::isfinite(solver_.delta()) && solver_.delta() > 0)) return;
    Wrong("delta", absl::StrCat("delta must be a finite number above 0, since type \"", Type(),
                                "\" divides by it where gradients are 0; it is ", solver_.delta(),
                                "; write for example delta: 1e-8"));
  }

  void CheckDecay() {
    FiniteFromZero("weight_decay", solver_.weight_decay());
    const std::string& regularization = solver_.regularization_type();
    if (regularization != "L1" && regularization != "L2") {
      Wrong("regularization_type",
            absl::StrCat("unknown regularization_type \"", regularization, "\", expected one of L1, L2",
                         DidYouMean(regularization, {"L1", "L2"})));
    }
  }

  void CheckClipping() {
    const float limit = solver_.clip_gradients();
    if (limit < 0 || (std::isfinite(limit) && limit > 0)) return;
    Wrong("clip_gradients",
          absl::StrCat("clip_gradients must be a finite number above 0, or -1 for no limit, not ", limit));
  }

  void CheckWeights() {
    for (int i = 0; i < solver_.weights_size(); ++i) {
      for (absl::string_view name : absl::StrSplit(solver_.weights(i), ',')) {
        if (!absl::StripAsciiWhitespace(name).empty()) continue;
        errors_.push_back(absl::StrCat(source_map_.Where(solver_, "weights", i), ": weights \"", solver_.weights(i),
                                       "\" has an empty name; write names of .caffemodel files, with commas between"));
        break;
      }
    }
  }

  void WarnOfGpu() {
    if (solver_.has_solver_mode() && solver_.solver_mode() == caffe::SolverParameter::GPU) {
      Warn("solver_mode", "solver_mode: GPU: the CPU computes, Samovar uses no GPU; solver_mode: CPU silences this");
    }
  }

  void WarnOfIgnored() {
    constexpr absl::string_view kIgnored = " has no effect";
    if (solver_.has_device_id()) Warn("device_id", absl::StrCat("device_id", kIgnored, " on CPUs"));
    if (solver_.test_compute_loss()) {
      Warn("test_compute_loss", absl::StrCat("test_compute_loss", kIgnored, ": a loss is shown as an output is"));
    }
    if (solver_.debug_info()) Warn("debug_info", absl::StrCat("debug_info", kIgnored));
    if (solver_.has_layer_wise_reduce()) Warn("layer_wise_reduce", absl::StrCat("layer_wise_reduce", kIgnored));
    if (solver_.snapshot_diff()) {
      Warn("snapshot_diff", absl::StrCat("snapshot_diff", kIgnored, ": models are written without gradients"));
    }
    const struct {
      const char* field;
      bool set;
      bool read;
    } fields[] = {{"delta", solver_.has_delta(), HasDivisor()},
                  {"momentum2", solver_.has_momentum2(), IsType("Adam")},
                  {"rms_decay", solver_.has_rms_decay(), IsType("RMSProp")}};
    for (const auto& each : fields) {
      if (each.set && !each.read) Warn(each.field, absl::StrCat(each.field, kIgnored, " with type: \"", Type(), "\""));
    }
  }

  void WarnOfSnapshots() {
    if (solver_.max_iter() == 0)
      Warn("max_iter", "max_iter: 0 trains nothing: the model is tested and written as it begins");
    if (solver_.snapshot() > solver_.max_iter() && solver_.max_iter() > 0) {
      Warn("snapshot", absl::StrCat("snapshot: ", solver_.snapshot(), " is beyond max_iter: ", solver_.max_iter(),
                                    "; there will be no snapshot before the end"));
    }
    if (!solver_.snapshot_after_train() && (solver_.snapshot() == 0 || solver_.snapshot() > solver_.max_iter())) {
      Warn("snapshot_after_train",
           "snapshot_after_train: false, and no snapshot before: no model will be written, and the training is "
           "lost");
    } else if (!solver_.snapshot_after_train() && solver_.max_iter() % solver_.snapshot() != 0) {
      Warn("snapshot_after_train",
           absl::StrCat("snapshot_after_train: false: the last model will be of iteration ",
                        solver_.max_iter() / solver_.snapshot() * solver_.snapshot(), ", not of ", solver_.max_iter()));
    }
  }

  const caffe::SolverParameter& solver_;
  const SourceMap& source_map_;
  std::vector<std::string>* const warnings_;
  std::vector<std::string> errors_;
};

}  // namespace

std::string SolverType(const caffe::SolverParameter& solver) {
  return solver.has_solver_type() ? kTypes[solver.solver_type()] : solver.type();
}

absl::Status CheckSolver(const caffe::SolverParameter& solver, const SourceMap& source_map,
                         std::vector<std::string>* warnings) {
  return Checker(solver, source_map, warnings).Check();
}

}  // namespace samovar
