#include "cli/run/resume_check.h"

#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

void AddBlob(const std::string& layer, uint32_t index, int64_t rows, v1::ParameterLayout* layout) {
  v1::ParameterBlob* blob = layout->add_blobs();
  blob->set_layer(layer);
  blob->set_index(index);
  blob->add_shape(rows);
  blob->add_shape(5);
}

// A run at iteration 40 of a net with the layers ip1 and ip2, and a job that goes on with it as it was.
struct ResumedRun {
  RunRecord before;
  v1::ParameterLayout net;
  CheckedJob job;

  ResumedRun() {
    before.snapshot = 40;
    before.solver_type = "SGD";
    AddBlob("ip1", 0, 3, &net);
    AddBlob("ip2", 0, 4, &net);
    *job.spec.mutable_layout() = net;
    job.spec.mutable_solver()->set_max_iter(100);
    job.spec.mutable_solver()->set_type("SGD");
    for (const char* layer : {"data", "ip1", "ip2", "ip3"}) job.spec.mutable_train_net()->add_layer()->set_name(layer);
    job.train_origin = {
        "net.prototxt", "TRAIN net", {"net.prototxt:1:1", "net.prototxt:2:1", "net.prototxt:3:1", "net.prototxt:4:1"}};
    job.places = {"solver.prototxt:7:1", "solver.prototxt:8:1"};
  }

  absl::Status Check() const { return CheckResumes(before, net, job); }
};

}  // namespace

TEST_CASE("a run goes on with the same solver and net, to its old end, a later one, or that of its snapshot") {
  ResumedRun resumed;
  REQUIRE_OK(resumed.Check());
  resumed.job.spec.mutable_solver()->set_max_iter(40);
  REQUIRE_OK(resumed.Check());
  resumed.job.spec.mutable_solver()->set_max_iter(1000);
  REQUIRE_OK(resumed.Check());
}

TEST_CASE(
    "a run does not go on to an end before its snapshot, or with another type, and both are told with their places") {
  ResumedRun resumed;
  resumed.job.spec.mutable_solver()->set_max_iter(39);
  resumed.job.spec.mutable_solver()->set_type("Adam");
  REQUIRE_STATUS(resumed.Check(), absl::StatusCode::kFailedPrecondition,
                 "solver.prototxt:7:1: max_iter is 39, but the newest snapshot of the run that is to be resumed is of "
                 "iteration 40\n"
                 "solver.prototxt:8:1: the solver's type is Adam, but in the run that is to be resumed it was SGD; "
                 "resume it with");
}

TEST_CASE("a run does not go on with another net, and each layer that differs is told with its place") {
  ResumedRun resumed;
  v1::ParameterLayout* layout = resumed.job.spec.mutable_layout();
  layout->mutable_blobs(0)->set_shape(0, 7);
  layout->mutable_blobs(1)->set_layer("ip3");
  REQUIRE_STATUS(
      resumed.Check(), absl::StatusCode::kFailedPrecondition,
      "net.prototxt:2:1: TRAIN net: layer \"ip1\": its parameter 0 is 7x5, but in the run that is to be resumed it was "
      "3x5\n"
      "net.prototxt:4:1: TRAIN net: layer \"ip3\": its parameter 0 is new: the run that is to be resumed had none\n"
      "net.prototxt:3:1: TRAIN net: layer \"ip2\": its parameter 0, which the run that is to be resumed had, is "
      "missing; "
      "resume it with");
}

TEST_CASE("a run does not go on with its layers in another order") {
  ResumedRun resumed;
  resumed.job.spec.mutable_layout()->mutable_blobs()->SwapElements(0, 1);
  REQUIRE_STATUS(resumed.Check(), absl::StatusCode::kFailedPrecondition,
                 "net.prototxt: TRAIN net: the layers with parameters are in another order");
}

TEST_CASE("what a run of an earlier release did not record is not compared") {
  ResumedRun resumed;
  resumed.before.solver_type.clear();
  resumed.job.spec.mutable_solver()->set_type("Adam");
  resumed.job.spec.mutable_layout()->mutable_blobs(0)->set_shape(0, 7);
  REQUIRE_OK(CheckResumes(resumed.before, std::nullopt, resumed.job));
}

TEST_CASE("another base_lr than that of the run that goes on is told, if that is known") {
  ResumedRun resumed;
  resumed.job.spec.mutable_solver()->set_base_lr(0.02f);
  caffe::SolverParameter before;
  CHECK(DescribeOtherSolver(before, resumed.job).empty());
  before.set_base_lr(0.02f);
  CHECK(DescribeOtherSolver(before, resumed.job).empty());
  before.set_base_lr(0.01f);
  CHECK_THAT(DescribeOtherSolver(before, resumed.job),
             Catch::Contains("base_lr is 0.02, but in the run") && Catch::Contains("it was 0.01"));
}

}  // namespace samovar
