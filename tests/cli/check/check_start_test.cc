#include "cli/check/check_start.h"

#include <filesystem>
#include <string>
#include <vector>

#include "common/caffe/model_file.h"
#include "common/caffe/solver_state_file.h"
#include "common/model/solver_history.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

struct Start {
  TempDir dir;
  caffe::SolverParameter solver;
  v1::ParameterLayout layout;

  Start() {
    solver.set_max_iter(400);
    for (const char* layer : {"ip1", "ip2"}) {
      v1::ParameterBlob* blob = layout.add_blobs();
      blob->set_layer(layer);
      blob->add_shape(3);
      blob->set_offset(layout.elements());
      layout.set_elements(layout.elements() + 3);
    }
  }

  std::string WriteModelOf(const std::string& layer, const std::string& name) {
    caffe::NetParameter model;
    model.add_layer()->set_name(layer);
    caffe::BlobProto* blob = model.mutable_layer(0)->add_blobs();
    blob->mutable_shape()->add_dim(3);
    for (float value : {1.0f, 2.0f, 3.0f}) blob->add_data(value);
    REQUIRE_OK(WriteModel(dir.File(name), model, StorageTable()));
    return dir.File(name);
  }
  std::string WriteState(uint64_t iteration, const std::string& learned_net) {
    const std::vector<std::vector<float>> history = {std::vector<float>(6, 1)};
    REQUIRE_OK(WriteSolverState(dir.File("a.solverstate"),
                                MakeSolverState(solver, layout, iteration, learned_net, history), StorageTable()));
    return dir.File("a.solverstate");
  }
  absl::StatusOr<CheckedStart> Check(const StartFrom& from) {
    SolverBundle bundle;
    bundle.solver = solver;
    bundle.solver_path = dir.File("solver.prototxt");
    bundle.places = {"solver.prototxt:3:1", "solver.prototxt:4:1"};
    return CheckStart(from, bundle, layout, StorageTable());
  }
};

}  // namespace

TEST_CASE("without files a job begins from its fillers") {
  Start start;
  const auto checked = start.Check({});
  REQUIRE_OK(checked);
  CHECK(checked->initial_model.ByteSizeLong() == 0);
  CHECK(checked->description.empty());
}

TEST_CASE("weights are a list with commas, and the flag counts instead of the solver's field") {
  Start start;
  const std::string a = start.WriteModelOf("ip1", "a.caffemodel"), b = start.WriteModelOf("ip2", "b.caffemodel");
  start.solver.add_weights("a.caffemodel, b.caffemodel");
  auto checked = start.Check({});
  REQUIRE_OK(checked);
  // Relative ones are found beside the solver.
  CHECK(std::vector<std::string>(checked->initial_model.weights().begin(), checked->initial_model.weights().end()) ==
        std::vector<std::string>{a, b});
  CHECK(checked->description == a + ", " + b + " fill ip1, ip2");
  CHECK(checked->warnings.empty());
  checked = start.Check({a, "", false});
  REQUIRE_OK(checked);
  CHECK(checked->initial_model.weights_size() == 1);
  CHECK(checked->description == a + " fills ip1; ip2 keeps its fillers");
  CHECK(checked->iteration == 0);
}

TEST_CASE("a run that is resumed does not look at files") {
  Start start;
  start.solver.add_weights("gone.caffemodel");
  REQUIRE_OK(start.Check({"", "", true}));
  REQUIRE_STATUS(start.Check({}), absl::StatusCode::kNotFound, "gone.caffemodel");
}

TEST_CASE("a model without a layer of the net is warned of") {
  Start start;
  const auto checked = start.Check({start.WriteModelOf("fc8", "a.caffemodel"), "", false});
  REQUIRE_OK(checked);
  REQUIRE(checked->warnings.size() == 1);
  CHECK(absl::StrContains(checked->warnings[0], "a.caffemodel: no layer there has the name of a layer of the net"));
}

TEST_CASE("a state continues at its iteration with the model that it names") {
  Start start;
  const std::string model = start.WriteModelOf("ip1", "a.caffemodel");
  const std::string state = start.WriteState(200, "out/a.caffemodel");
  start.solver.add_weights("gone.caffemodel");
  const auto checked = start.Check({"", state, false});
  REQUIRE_OK(checked);
  CHECK(checked->iteration == 200);
  CHECK(checked->initial_model.solver_state() == state);
  REQUIRE(checked->initial_model.weights_size() == 1);
  CHECK(checked->initial_model.weights(0) == model);
  CHECK(absl::StrContains(checked->description, "continues at iteration 200"));
}

TEST_CASE("a state that leaves nothing to train is refused with what to raise") {
  Start start;
  start.WriteModelOf("ip1", "a.caffemodel");
  REQUIRE_STATUS(start.Check({"", start.WriteState(400, "a.caffemodel"), false}), absl::StatusCode::kInvalidArgument,
                 "solver.prototxt:3:1: " + start.dir.File("a.solverstate") +
                     " is of iteration 400, and max_iter is 400: there is nothing left to train; raise max_iter");
  start.solver.set_type("Adam");
  REQUIRE_STATUS(start.Check({"", start.dir.File("a.solverstate"), false}), absl::StatusCode::kInvalidArgument,
                 "2 history blobs; this solver and net need 4");
}

}  // namespace samovar
