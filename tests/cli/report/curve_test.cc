#include "cli/report/curve.h"

#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/report/progress.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

v1::HistoryBlock BlockOf(uint64_t begin, uint64_t end) {
  v1::HistoryBlock block;
  block.add_output_names("loss");
  block.add_output_names("accuracy, top");
  for (uint64_t t = begin; t < end; ++t) {
    block.add_iterations(t);
    block.add_seconds(static_cast<double>(t / 2));
    block.add_losses(t == 3 ? kNan : 0.3f + static_cast<float>(t));
    block.add_learning_rates(0.01f);
    block.add_outputs(0.3f);
    block.add_outputs(0.5f);
    block.add_staleness(t == 1 ? -1 : 1.5f);
  }
  return block;
}

v1::TestReport TestOf(uint64_t iteration, uint32_t net, const std::vector<std::pair<std::string, float>>& values) {
  v1::TestReport test;
  test.set_iteration(iteration);
  test.set_net(net);
  for (const auto& [name, value] : values) {
    test.add_outputs()->set_name(name);
    test.mutable_outputs()->rbegin()->set_value(value);
  }
  return test;
}

Curve Example() {
  Curve curve = CurveOf({BlockOf(0, 2), BlockOf(2, 4)},
                        {TestOf(2, 1, {{"accuracy", 0.9f}}), TestOf(0, 0, {{"loss", 2}}), TestOf(9, 0, {{"loss", 1}})});
  SetRates(10, &curve);
  return curve;
}

TEST_CASE("a curve as CSV has a line each point and test, in order, and reads back as it was") {
  const Curve curve = Example();
  const std::string csv = CurveCsv(curve);
  CHECK(csv ==
        "iteration,seconds,images_per_second,learning_rate,loss,staleness,train loss,\"train accuracy, top\",test0 "
        "loss,test1 accuracy\n"
        "0,,,,,,,,2,\n"
        "0,0.000,,0.01,0.3,1.5,0.3,0.5,,\n"
        "1,0.000,,0.01,1.3,,0.3,0.5,,\n"
        "2,,,,,,,,,0.9\n"
        "2,1.000,20.0,0.01,2.3,1.5,0.3,0.5,,\n"
        "3,1.000,20.0,0.01,nan,1.5,0.3,0.5,,\n"
        "9,,,,,,,,1,\n");
  const auto read = ParseCurve(csv);
  REQUIRE_OK(read);
  CHECK(CurveCsv(*read) == csv);
  CHECK(read->points.size() == 4);
  CHECK(read->tests.size() == 3);
}

TEST_CASE("a curve as JSON has an object a line, and null for what is no number, and as a table it has columns") {
  const std::string json = CurveJson(Example());
  CHECK(absl::StrContains(json, "{\"iteration\": 2, \"tests\": {\"test1 accuracy\": 0.9}}\n") +
            absl::StrContains(json, "{\"iteration\":2,\"tests\":{\"test1 accuracy\":0.9}}\n") ==
        1);
  CHECK(absl::StrContains(json, "null"));
  CHECK(std::count(json.begin(), json.end(), '\n') == 7);
  const std::string table = CurveTable(Example());
  CHECK(absl::StrContains(table, "  iteration  seconds  images/s  learning rate  loss  staleness  train loss"));
  CHECK(std::count(table.begin(), table.end(), '\n') == 8);
  CHECK(CurveCsv(Curve()) == "iteration,seconds,images_per_second,learning_rate,loss,staleness\n");
}

TEST_CASE("values of one name have a column each, and outputs that do not fit their names are left out") {
  v1::HistoryBlock block = BlockOf(0, 1);
  block.set_output_names(1, "loss");
  CHECK(CurveOf({block}, {}).output_names == std::vector<std::string>{"loss[0]", "loss[1]"});
  block.add_output_names("third");
  const Curve curve = CurveOf({block}, {TestOf(5, 0, {{"a", 1}, {"a", 2}}), TestOf(3, 0, {{"a", 1}})}, 4);
  CHECK(curve.output_names.empty());
  CHECK(curve.points.size() == 1);
  CHECK(curve.tests.size() == 1);
  CHECK(curve.test_names == std::vector<std::string>{"test0 a[0]", "test0 a[1]"});
}

TEST_CASE("a run that goes on has the earlier run's points and tests before its own, and its seconds go on") {
  Curve earlier = CurveOf({BlockOf(0, 10)}, {TestOf(0, 0, {{"loss", 3}}), TestOf(6, 0, {{"loss", 2}})});
  Curve curve = CurveOf({BlockOf(6, 8)}, {TestOf(6, 0, {{"loss", 1}}), TestOf(8, 1, {{"accuracy", 1}})});
  Prepend(earlier, &curve);
  std::vector<std::string> points, tests;
  for (const Curve::Point& point : curve.points) points.push_back(absl::StrCat(point.iteration, " ", point.seconds));
  for (const Curve::Test& test : curve.tests) tests.push_back(absl::StrCat(test.iteration, " ", test.outputs[0]));
  CHECK(points == std::vector<std::string>{"0 0", "1 0", "2 1", "3 1", "4 2", "5 2", "6 5", "7 5"});
  CHECK(tests == std::vector<std::string>{"0 3", "6 1", "8 nan"});
  // As long as it has none.
  Curve none;
  Prepend(earlier, &none);
  CHECK(none.points.size() == 10);
  CHECK(none.tests.size() == 2);
  Prepend(Curve(), &earlier);
  CHECK(earlier.points.size() == 10);
}

TEST_CASE("a log in Caffe's format is read with its tests and rates, as Caffe and as Samovar write it") {
  Display display;
  display.line.set_iteration(100);
  display.line.set_loss(0.25);
  display.line.set_learning_rate(0.5);
  display.line.add_outputs()->set_name("loss");
  display.line.mutable_outputs(0)->set_value(0.125);
  std::string log =
      "I0131 12:00:00.000000 1 solver.cpp:330] Iteration 0, Testing net (#1)\n"
      "I0131 12:00:01.000000 1 solver.cpp:397]     Test net output #0: accuracy = 0.1\n"
      "I0131 12:00:01.000000 1 solver.cpp:397]     Test net output #1: loss = 2.5 (* 1 = 2.5 loss)\n"
      "I0131 12:00:02.000000 1 solver.cpp:228] Iteration 0, loss = nan\n"
      "I0131 12:00:02.000000 1 solver.cpp:244]     Train net output #0: loss = 7 (* 1 = 7 loss)\n"
      "I0131 12:00:02.000000 1 sgd_solver.cpp:106] Iteration 0, lr = 0.01\n"
      "some other line] Iteration x, loss = 1\n";
  for (const std::string& line : DisplayLines(display)) absl::StrAppend(&log, line, "\r\n");
  const auto curve = ParseCurve(log);
  REQUIRE_OK(curve);
  REQUIRE(curve->points.size() == 2);
  CHECK(std::isnan(curve->points[0].loss));
  CHECK(curve->points[0].learning_rate == Approx(0.01));
  CHECK(curve->points[0].outputs == std::vector<float>{7});
  CHECK(curve->points[1].iteration == 100);
  CHECK(curve->points[1].loss == 0.25f);
  CHECK(curve->points[1].learning_rate == 0.5);
  CHECK(curve->points[1].outputs == std::vector<float>{0.125f});
  CHECK(curve->test_names == std::vector<std::string>{"test1 accuracy", "test1 loss"});
  REQUIRE(curve->tests.size() == 1);
  CHECK(curve->tests[0].outputs == std::vector<float>{0.1f, 2.5f});
}

TEST_CASE("what is neither a CSV of a curve nor a log is refused with its line") {
  for (const char* text : {"", "hello\nworld\n", "a,b\n1,2\n"})
    REQUIRE_STATUS(ParseCurve(text), absl::StatusCode::kInvalidArgument, "neither a CSV");
  REQUIRE_STATUS(ParseCurve("iteration,loss\n1,2\n3\n"), absl::StatusCode::kInvalidArgument,
                 "line 3: 1 columns instead of 2");
  REQUIRE_STATUS(ParseCurve("iteration,loss\nx,2\n"), absl::StatusCode::kInvalidArgument,
                 "line 2: \"x\" is no iteration");
  REQUIRE_STATUS(ParseCurve("iteration,loss\n1,x\n"), absl::StatusCode::kInvalidArgument, "line 2: \"x\" is no number");
  // Columns that are not known do no harm.
  CHECK(ParseCurve("note,loss,iteration\nhello,2,1\n")->points.at(0).loss == 2);
}

}  // namespace
}  // namespace samovar
