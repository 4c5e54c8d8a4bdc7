#include "server/coordinator/display_log.h"

#include "samovar/v1/job_record.pb.h"
#include "tests/support/catch.h"

namespace samovar {
namespace {

v1::JobSpec SpecOf(int display, int average_loss) {
  v1::JobSpec spec;
  spec.mutable_solver()->set_base_lr(0.5f);
  spec.mutable_solver()->set_lr_policy("fixed");
  spec.mutable_solver()->set_display(display);
  spec.mutable_solver()->set_average_loss(average_loss);
  spec.mutable_train_outputs()->add_outputs()->set_name("loss");
  return spec;
}

// Its loss and its output are its number.
DisplayLog::Result ResultOf(uint64_t iteration) {
  return {static_cast<double>(iteration), {static_cast<float>(iteration)}, false};
}

std::vector<uint64_t> IterationsOf(const std::vector<v1::DisplayLine>& lines) {
  std::vector<uint64_t> iterations;
  for (const v1::DisplayLine& line : lines) iterations.push_back(line.iteration());
  return iterations;
}

TEST_CASE("each multiple of display has a line in order, however results come and however seldom somebody asks") {
  const v1::JobSpec spec = SpecOf(10, 1);
  DisplayLog log(&spec);
  log.Begin(0);
  for (uint64_t t = 100; t-- > 50;) log.Add(t, ResultOf(t));
  log.Advance(0, 1);
  CHECK(log.From(0).empty());
  for (uint64_t t = 0; t < 50; ++t) log.Add(t, ResultOf(t));
  log.Advance(100, 2);
  const std::vector<v1::DisplayLine> lines = log.From(0);
  CHECK(IterationsOf(lines) == std::vector<uint64_t>{0, 10, 20, 30, 40, 50, 60, 70, 80, 90});
  for (const v1::DisplayLine& line : lines) {
    CHECK(line.loss() == line.iteration());
    REQUIRE(line.outputs_size() == 1);
    CHECK(line.outputs(0).value() == line.iteration());
    CHECK(line.learning_rate() == 0.5);
    CHECK(line.seconds() == 2);
  }
  CHECK(IterationsOf(log.From(81)) == std::vector<uint64_t>{90});
}

TEST_CASE("a line's loss is the mean of the average_loss iterations that end with it, its outputs are its own") {
  const v1::JobSpec spec = SpecOf(2, 3);
  DisplayLog log(&spec);
  log.Begin(0);
  for (uint64_t t : {5, 3, 4, 0, 2, 1}) log.Add(t, ResultOf(t));
  log.Advance(6, 0);
  const std::vector<v1::DisplayLine> lines = log.From(0);
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].loss() == 0);
  CHECK(lines[1].loss() == 1);
  CHECK(lines[2].loss() == 3);
  CHECK(lines[2].outputs(0).value() == 4);
}

TEST_CASE("a skipped iteration has no part in the mean, and its line no outputs") {
  const v1::JobSpec spec = SpecOf(1, 2);
  DisplayLog log(&spec);
  log.Begin(4);
  log.Add(4, {0, {}, true});
  log.Add(5, ResultOf(5));
  log.Add(6, {0, {}, true});
  log.Advance(7, 0);
  const std::vector<v1::DisplayLine> lines = log.From(0);
  REQUIRE(IterationsOf(lines) == std::vector<uint64_t>{5, 6});
  CHECK(lines[1].loss() == 5);
  CHECK(lines[1].outputs().empty());
}

TEST_CASE("iterations that are computed again are not shown again") {
  const v1::JobSpec spec = SpecOf(1, 1);
  DisplayLog log(&spec);
  log.Begin(0);
  log.Add(0, ResultOf(0));
  log.Add(1, ResultOf(1));
  log.Advance(2, 0);
  log.Add(1, ResultOf(1));
  log.Advance(1, 0);
  log.Add(2, ResultOf(2));
  log.Advance(3, 0);
  CHECK(IterationsOf(log.From(0)) == std::vector<uint64_t>{0, 1, 2});
}

TEST_CASE("another coordinator's log goes on with the lines of the one before, each once, whatever is computed again") {
  const v1::JobSpec spec = SpecOf(10, 2);
  v1::JobRecord record;
  {
    DisplayLog log(&spec);
    CHECK_FALSE(log.displayed().has_value());
    CHECK_FALSE(log.Begin(0).has_value());
    for (uint64_t t = 0; t < 35; ++t) log.Add(t, ResultOf(t));
    log.Advance(35, 1);
    for (v1::DisplayLine& line : log.From(0)) *record.add_displays() = std::move(line);
    CHECK(log.displayed() == 35);
  }
  // From a snapshot before, from where it was, and beyond, where others have gone on.
  for (const uint64_t first : {20, 35, 38, 41, 62}) {
    INFO("from " << first);
    DisplayLog log(&spec);
    log.Restore(record.displays(), 35);
    CHECK(log.end() == 31);
    const auto lost = log.Begin(first);
    for (uint64_t t = first; t < 75; ++t) log.Add(t, ResultOf(t));
    log.Advance(75, 2);
    std::vector<uint64_t> expected = {0, 10, 20, 30, 40, 50, 60, 70};
    if (first == 41) expected = {0, 10, 20, 30, 50, 60, 70};
    if (first == 62) expected = {0, 10, 20, 30, 70};
    CHECK(IterationsOf(log.From(0)) == expected);
    CHECK(log.From(70).front().loss() == 69.5);
    CHECK(lost.has_value() == (first > 40));
    if (first == 41) CHECK(*lost == std::pair<uint64_t, uint64_t>(40, 40));
    if (first == 62) CHECK(*lost == std::pair<uint64_t, uint64_t>(40, 60));
    CHECK(log.displayed() == 75);
  }
}

TEST_CASE("of many lines the newest are kept, and without display there is none") {
  const v1::JobSpec spec = SpecOf(1, 1);
  const v1::JobSpec silent = SpecOf(0, 1);
  DisplayLog log(&spec);
  DisplayLog none(&silent);
  const uint64_t iterations = DisplayLog::kMaxLines + 5;
  for (uint64_t t = 0; t < iterations; ++t) {
    log.Add(t, ResultOf(t));
    none.Add(t, ResultOf(t));
  }
  log.Advance(iterations, 0);
  none.Advance(iterations, 0);
  CHECK(log.From(0).size() == DisplayLog::kMaxLines);
  CHECK(log.From(0).back().iteration() == iterations - 1);
  CHECK(none.From(0).empty());
}

}  // namespace
}  // namespace samovar
