#include "common/model/solver_history.h"

#include <limits>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

// Blobs of 2x2 and 3 floats.
v1::ParameterLayout Layout() {
  v1::ParameterLayout layout;
  v1::ParameterBlob* weights = layout.add_blobs();
  weights->set_layer("ip");
  weights->add_shape(2);
  weights->add_shape(2);
  v1::ParameterBlob* bias = layout.add_blobs();
  bias->set_layer("ip");
  bias->set_index(1);
  bias->add_shape(3);
  bias->set_offset(4);
  layout.set_elements(7);
  return layout;
}

caffe::SolverParameter Solver(const char* type) {
  caffe::SolverParameter solver;
  solver.set_type(type);
  return solver;
}

const std::vector<std::vector<float>> kHistory = {{1, 2, 3, 4, 5, 6, 7}, {10, 20, 30, 40, 50, 60, 70}};

TEST_CASE("AdaDelta and Adam keep two vectors of history, the other solvers one") {
  for (const char* type : {"SGD", "Nesterov", "AdaGrad", "RMSProp"}) CHECK(*HistoryVectors(Solver(type)) == 1);
  for (const char* type : {"AdaDelta", "Adam"}) CHECK(*HistoryVectors(Solver(type)) == 2);
  caffe::SolverParameter old;
  old.set_solver_type(caffe::SolverParameter::ADAM);
  CHECK(*HistoryVectors(old) == 2);
  REQUIRE_STATUS(HistoryVectors(Solver("Sgd")), absl::StatusCode::kInvalidArgument, "there are SGD, Nesterov");
}

TEST_CASE("a state has the first vector's blobs in the layout's order, then the second's") {
  const auto state = MakeSolverState(Solver("Adam"), Layout(), 200, "out/a.caffemodel", kHistory);
  CHECK(state.iter() == 200);
  CHECK(state.learned_net() == "out/a.caffemodel");
  REQUIRE(state.history_size() == 4);
  CHECK(state.history(0).shape().dim_size() == 2);
  CHECK(std::vector<float>(state.history(1).data().begin(), state.history(1).data().end()) ==
        std::vector<float>{5, 6, 7});
  CHECK(std::vector<float>(state.history(2).data().begin(), state.history(2).data().end()) ==
        std::vector<float>{10, 20, 30, 40});
}

TEST_CASE("history that was written is read back, in parts that cross blobs") {
  const auto state = MakeSolverState(Solver("Adam"), Layout(), 200, "", kHistory);
  REQUIRE_OK(CheckSolverState(state, Layout(), 2));
  for (int vector : {0, 1}) {
    for (size_t begin = 0; begin < 7; ++begin) {
      std::vector<float> part(7 - begin);
      CopyHistory(state, Layout(), vector, begin, part);
      CHECK(part == std::vector<float>(kHistory[vector].begin() + begin, kHistory[vector].end()));
    }
  }
}

TEST_CASE("history in doubles is read too") {
  auto state = MakeSolverState(Solver("SGD"), Layout(), 1, "", std::vector<std::vector<float>>{kHistory[0]});
  state.mutable_history(1)->clear_data();
  for (double value : {0.5, 1.5, 2.5}) state.mutable_history(1)->add_double_data(value);
  REQUIRE_OK(CheckSolverState(state, Layout(), 1));
  std::vector<float> whole(7);
  CopyHistory(state, Layout(), 0, 0, whole);
  CHECK(whole == std::vector<float>{1, 2, 3, 4, 0.5f, 1.5f, 2.5f});
}

TEST_CASE("a state that is not of this solver or net is refused with what differs") {
  const auto invalid = absl::StatusCode::kInvalidArgument;
  const auto state = MakeSolverState(Solver("Adam"), Layout(), 200, "", kHistory);
  REQUIRE_STATUS(CheckSolverState(state, Layout(), 1), invalid, "4 history blobs; this solver and net need 2");
  caffe::SolverState other = state;
  other.mutable_history(3)->add_data(1);
  REQUIRE_STATUS(CheckSolverState(other, Layout(), 2), invalid, "layer \"ip\", blob 1, has 4 values instead of 3");
  other = state;
  other.mutable_history(2)->set_data(1, std::numeric_limits<float>::quiet_NaN());
  REQUIRE_STATUS(CheckSolverState(other, Layout(), 2), invalid, "history blob 2, of layer \"ip\", blob 0, has NaN");
  other = state;
  other.set_iter(-1);
  REQUIRE_STATUS(CheckSolverState(other, Layout(), 2), invalid, "iteration is -1");
}

TEST_CASE("a state with values below 0 where a solver keeps squares is another solver's") {
  for (const char* type : {"SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"}) {
    INFO(type);
    const int vectors = *HistoryVectors(Solver(type));
    std::vector<std::vector<float>> history(kHistory.begin(), kHistory.begin() + vectors);
    REQUIRE_OK(CheckHistoryIsOf(Solver(type), MakeSolverState(Solver(type), Layout(), 5, "m", history), Layout()));
    // Adam's first vector is a mean of gradients, and those of SGD and Nesterov are.
    const bool first =
        std::string(type) == "AdaGrad" || std::string(type) == "RMSProp" || std::string(type) == "AdaDelta";
    history[0][5] = -1;
    const absl::Status status =
        CheckHistoryIsOf(Solver(type), MakeSolverState(Solver(type), Layout(), 5, "m", history), Layout());
    REQUIRE(status.ok() == !first);
    if (vectors == 1) continue;
    history[0][5] = 1;
    history[1][5] = -1;
    REQUIRE_STATUS(CheckHistoryIsOf(Solver(type), MakeSolverState(Solver(type), Layout(), 5, "m", history), Layout()),
                   absl::StatusCode::kInvalidArgument, "layer \"ip\", has negative values");
  }
}

TEST_CASE("a state says how many steps of its rate Caffe has taken by then") {
  caffe::SolverParameter solver = Solver("SGD");
  solver.set_lr_policy("multistep");
  for (int value : {10, 20}) solver.add_stepvalue(value);
  const std::vector<std::vector<float>> history = {kHistory[0]};
  CHECK(MakeSolverState(solver, Layout(), 10, "", history).current_step() == 0);
  CHECK(MakeSolverState(solver, Layout(), 11, "", history).current_step() == 1);
  CHECK(MakeSolverState(solver, Layout(), 500, "", history).current_step() == 2);
  solver.set_lr_policy("step");
  solver.set_stepsize(100);
  CHECK(MakeSolverState(solver, Layout(), 200, "", history).current_step() == 1);
  CHECK(MakeSolverState(solver, Layout(), 0, "", history).current_step() == 0);
}

}  // namespace
}  // namespace samovar
