#include "common/caffe/solver_checks.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "common/caffe/prototxt.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

const char kGood[] = "base_lr: 0.01 max_iter: 100\nlr_policy: \"fixed\"\n";

absl::Status Check(const std::string& text, std::vector<std::string>* warnings = nullptr) {
  std::unique_ptr<SourceMap> map;
  const auto solver = ParseSolver(text, "s.prototxt", &map);
  REQUIRE_OK(solver);
  std::vector<std::string> ignored;
  return CheckSolver(*solver, *map, warnings == nullptr ? &ignored : warnings);
}

// The message about a solver that is good apart from what `text` adds in its third line.
std::string Message(const std::string& text) { return std::string(Check(kGood + text).message()); }

// With another policy instead of "fixed".
std::string PolicyMessage(const std::string& text) {
  return std::string(Check("base_lr: 0.01 max_iter: 100\n" + text).message());
}

std::string Warnings(const std::string& text) {
  std::vector<std::string> warnings;
  REQUIRE_OK(Check(kGood + text, &warnings));
  return absl::StrJoin(warnings, "\n");
}

}  // namespace

TEST_CASE("a solver with all that is offered passes without a warning") {
  CHECK(Warnings("momentum: 0.9 weight_decay: 0.0005 regularization_type: \"L1\" display: 10 average_loss: 5 "
                 "snapshot: 50 solver_mode: CPU type: \"SGD\" random_seed: 7 test_initialization: false") == "");
  REQUIRE_OK(Check(std::string(kGood) + "solver_type: SGD"));
}

TEST_CASE("missing values are named with what to write") {
  CHECK(Check("").message() ==
        "s.prototxt: base_lr is missing; write for example base_lr: 0.01\n"
        "s.prototxt: lr_policy is missing; write for example lr_policy: \"fixed\"\n"
        "s.prototxt: max_iter is missing; write for example max_iter: 10000");
}

TEST_CASE("values out of range are reported where they stand") {
  CHECK(Message("momentum: 1") == "s.prototxt:3:1: momentum must be at least 0 and below 1, not 1");
  CHECK(Message("  weight_decay: -1") == "s.prototxt:3:3: weight_decay must be a finite number and at least 0, not -1");
  CHECK(Message("display: -1") == "s.prototxt:3:1: display must be at least 0, not -1");
  CHECK(Message("snapshot: -1") == "s.prototxt:3:1: snapshot must be at least 0, not -1");
  CHECK(Message("test_interval: -1") == "s.prototxt:3:1: test_interval must be at least 0, not -1");
  CHECK(Message("average_loss: 0") == "s.prototxt:3:1: average_loss must be at least 1, not 0");
  CHECK(Message("iter_size: 0") == "s.prototxt:3:1: iter_size must be at least 1, not 0");
  CHECK(Message("regularization_type: \"L3\"") ==
        "s.prototxt:3:1: unknown regularization_type \"L3\", expected one of L1, L2; did you mean \"L1\"?");
  REQUIRE_STATUS(Check("base_lr: nan max_iter: -1 lr_policy: \"fixed\""), absl::StatusCode::kInvalidArgument,
                 "s.prototxt:1:1: base_lr must be a finite number and at least 0, not nan\n"
                 "s.prototxt:1:14: max_iter must be at least 0, not -1");
}

TEST_CASE("each learning-rate policy needs its fields") {
  CHECK(PolicyMessage("lr_policy: \"stp\"") ==
        "s.prototxt:2:1: unknown lr_policy \"stp\", expected one of fixed, step, exp, inv, multistep, poly, sigmoid; "
        "did you mean \"step\"?");
  CHECK(PolicyMessage("lr_policy: \"step\"") ==
        "s.prototxt:2:1: lr_policy \"step\" needs gamma; write for example gamma: 0.1\n"
        "s.prototxt:2:1: lr_policy \"step\" needs stepsize; write for example stepsize: 5000");
  CHECK(PolicyMessage("lr_policy: \"step\" gamma: 0.1 stepsize: 0") ==
        "s.prototxt:2:30: stepsize must be at least 1, not 0");
  CHECK(PolicyMessage("lr_policy: \"exp\"") ==
        "s.prototxt:2:1: lr_policy \"exp\" needs gamma; write for example gamma: 0.1");
  CHECK(PolicyMessage("lr_policy: \"inv\" gamma: -1 power: inf") ==
        "s.prototxt:2:18: lr_policy \"inv\" needs a gamma of at least 0, not -1\n"
        "s.prototxt:2:28: power must be a finite number, not inf");
  CHECK(PolicyMessage("lr_policy: \"poly\"") ==
        "s.prototxt:2:1: lr_policy \"poly\" needs power; write for example power: 0.75");
  CHECK(PolicyMessage("lr_policy: \"sigmoid\" gamma: 1") ==
        "s.prototxt:2:1: lr_policy \"sigmoid\" needs stepsize; write for example stepsize: 5000");
  CHECK(PolicyMessage("lr_policy: \"multistep\" gamma: 0.1 stepvalue: 50 stepvalue: 40") ==
        "s.prototxt:2:49: stepvalue must ascend from 0 up, and 40 does not");
  for (const char* good : {"\"step\" gamma: 0.1 stepsize: 10", "\"exp\" gamma: 0.9", "\"inv\" gamma: 0.1 power: 0.75",
                           "\"multistep\" gamma: 0.1 stepvalue: 5 stepvalue: 7", "\"multistep\" gamma: 0.1",
                           "\"poly\" power: 1", "\"sigmoid\" gamma: -0.1 stepsize: 50"}) {
    CHECK(PolicyMessage(std::string("lr_policy: ") + good) == "");
  }
}

TEST_CASE("a solver for a GPU is warned of, since the CPU computes, and passes") {
  CHECK(Warnings("solver_mode: GPU") ==
        "s.prototxt:3:1: solver_mode: GPU: the CPU computes, Samovar uses no GPU; solver_mode: CPU silences this");
  REQUIRE_STATUS(Check(std::string(kGood) + "solver_mode: GPU momentum: 2"), absl::StatusCode::kInvalidArgument,
                 "momentum");
}

TEST_CASE("all six types pass with the fields that they read, in both spellings") {
  for (const char* good :
       {"type: \"SGD\" momentum: 0.9", "type: \"Nesterov\" momentum: 0.9", "type: \"AdaGrad\" delta: 1e-8",
        "type: \"RMSProp\" rms_decay: 0.98 delta: 1e-8", "type: \"AdaDelta\" momentum: 0.95 delta: 1e-6",
        "type: \"Adam\" momentum: 0.9 momentum2: 0.999 delta: 1e-8", "solver_type: SGD", "solver_type: NESTEROV",
        "solver_type: ADAGRAD", "solver_type: RMSPROP", "solver_type: ADADELTA", "solver_type: ADAM"}) {
    INFO(good);
    CHECK(Warnings(good) == "");
  }
  caffe::SolverParameter solver;
  CHECK(SolverType(solver) == "SGD");
  solver.set_type("Adam");
  CHECK(SolverType(solver) == "Adam");
  solver.set_solver_type(caffe::SolverParameter::RMSPROP);
  CHECK(SolverType(solver) == "RMSProp");
}

TEST_CASE("each type's own fields are in range") {
  CHECK(Message("type: \"AdaGrad\" momentum: 0.9") ==
        "s.prototxt:3:17: type \"AdaGrad\" has no momentum, and this is 0.9; remove it or write momentum: 0");
  CHECK(Message("type: \"RMSProp\" momentum: 0.5 rms_decay: 1") ==
        "s.prototxt:3:31: rms_decay must be at least 0 and below 1, not 1\n"
        "s.prototxt:3:17: type \"RMSProp\" has no momentum, and this is 0.5; remove it or write momentum: 0");
  CHECK(Message("solver_type: ADAM\nmomentum2: 1.5") ==
        "s.prototxt:4:1: momentum2 must be at least 0 and below 1, not 1.5");
  CHECK(Message("type: \"AdaDelta\" delta: 0") ==
        "s.prototxt:3:18: delta must be a finite number above 0, since type \"AdaDelta\" divides by it where gradients "
        "are 0; it is 0; write for example delta: 1e-8");
  CHECK(Message("type: \"Adam\" delta: nan") != "");
}

TEST_CASE("clipping, accumulation, weights and formats pass, and are in range") {
  CHECK(Warnings("clip_gradients: 35 iter_size: 4 average_loss: 40 weights: \"a.caffemodel,b.caffemodel\" "
                 "snapshot_format: HDF5") == "");
  CHECK(Warnings("clip_gradients: -1") == "");
  CHECK(Message("clip_gradients: 0") ==
        "s.prototxt:3:1: clip_gradients must be a finite number above 0, or -1 for no limit, not 0");
  CHECK(Message("clip_gradients: inf") != "");
  CHECK(Message("clip_gradients: nan") != "");
  CHECK(Message("weights: \"a\"\nweights: \"a,,b\"") ==
        "s.prototxt:4:1: weights \"a,,b\" has an empty name; write names of .caffemodel files, with commas between");
}

TEST_CASE("a type that does not exist or is given twice is refused") {
  CHECK(Message("type: \"AdamW\"") ==
        "s.prototxt:3:1: unknown type \"AdamW\", expected one of SGD, Nesterov, AdaGrad, RMSProp, AdaDelta, Adam; "
        "did you mean \"Adam\"?");
  CHECK(Message("type: \"SGD\" solver_type: SGD") ==
        "s.prototxt:3:13: solver_type is the old way to write type; remove one of the two");
}

TEST_CASE("settings without an effect are warned of") {
  CHECK(Warnings("device_id: 1") == "s.prototxt:3:1: device_id has no effect on CPUs");
  CHECK(Warnings("momentum2: 0.9") == "s.prototxt:3:1: momentum2 has no effect with type: \"SGD\"");
  CHECK(Warnings("rms_decay: 0.9 type: \"Adam\"") == "s.prototxt:3:1: rms_decay has no effect with type: \"Adam\"");
  CHECK(Warnings("snapshot_diff: true") ==
        "s.prototxt:3:1: snapshot_diff has no effect: models are written without gradients");
  CHECK(Warnings("debug_info: true") == "s.prototxt:3:1: debug_info has no effect");
  CHECK(Warnings("layer_wise_reduce: false") == "s.prototxt:3:1: layer_wise_reduce has no effect");
  CHECK(Warnings("snapshot: 5000") ==
        "s.prototxt:3:1: snapshot: 5000 is beyond max_iter: 100; there will be no snapshot before the end");
  CHECK(Warnings("snapshot_after_train: false") ==
        "s.prototxt:3:1: snapshot_after_train: false, and no snapshot before: no model will be written, and the "
        "training is lost");
  CHECK(Warnings("snapshot_after_train: false snapshot: 30") ==
        "s.prototxt:3:1: snapshot_after_train: false: the last model will be of iteration 90, not of 100");
  CHECK(Warnings("snapshot_after_train: false snapshot: 50").empty());
}

}  // namespace samovar
