#include "cli/check/wrong_file.h"

#include <fstream>

#include "common/caffe/model_file.h"
#include "common/caffe/solver_state_file.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

struct Files {
  Files() {
    caffe::NetParameter net;
    net.add_layer()->set_name("ip");
    REQUIRE_OK(WriteModel(model, net, StorageTable()));
    caffe::SolverState of_solver;
    of_solver.set_iter(7);
    of_solver.set_learned_net("other.caffemodel");
    REQUIRE_OK(WriteSolverState(state, of_solver, StorageTable()));
    std::ofstream(text) << "name: \"net\"";
    std::ofstream(garbage) << "\xff\x01garbage";
  }
  absl::Status Explain(const std::string& path, absl::string_view flag, const FileFlags& flags) const {
    return ExplainWrongFile(absl::DataLossError("refused"), path, flag, flags, StorageTable());
  }

  TempDir dir;
  const std::string model = dir.File("a"), state = dir.File("b"), text = dir.File("c"), garbage = dir.File("d");
};

}  // namespace

TEST_CASE_METHOD(
    Files, "a whole file of another kind is named by what it is, whatever its name, with the flag that takes it") {
  using absl::StatusCode;
  REQUIRE_STATUS(
      Explain(model, "--model", kModelFlags), StatusCode::kInvalidArgument,
      model + " is a .caffemodel, the weights of a model; give it with --weights; --model takes a net's .prototxt");
  REQUIRE_STATUS(
      Explain(text, "--weights", kModelFlags), StatusCode::kInvalidArgument,
      text + " is a .prototxt, a net or a solver in text; give it with --model; --weights takes a .caffemodel");
  REQUIRE_STATUS(
      Explain(state, "--weights", kModelFlags), StatusCode::kInvalidArgument,
      state +
          " is a .solverstate, the state of a solver at iteration 7; give its model, other.caffemodel, with --weights");
  REQUIRE_STATUS(
      Explain(state, "--weights", kTrainFlags), StatusCode::kInvalidArgument,
      "give it with --snapshot, or its model, other.caffemodel, with --weights; --weights takes a .caffemodel");
  REQUIRE_STATUS(Explain(model, "--snapshot", kTrainFlags), StatusCode::kInvalidArgument,
                 "give it with --weights; --snapshot takes a .solverstate");
  REQUIRE_STATUS(Explain(model, "--solver", kTrainFlags), StatusCode::kInvalidArgument,
                 "--solver takes a solver's .prototxt");
}

TEST_CASE_METHOD(Files, "the error of a file of the right kind, or of none, stays as it is") {
  CHECK(Explain(model, "--weights", kTrainFlags).message() == "refused");
  CHECK(Explain(state, "--snapshot", kTrainFlags).message() == "refused");
  CHECK(Explain(text, "--model", kModelFlags).message() == "refused");
  CHECK(Explain(garbage, "--model", kModelFlags).message() == "refused");
  REQUIRE_OK(ExplainWrongFile(absl::OkStatus(), model, "--model", kModelFlags, StorageTable()));
}

}  // namespace samovar
