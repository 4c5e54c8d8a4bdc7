#include "cli/terminal/views.h"

#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/terminal/table.h"
#include "tests/support/catch.h"

namespace samovar {
namespace {

JobViewData RunningJob() {
  JobViewData data;
  data.coordinator = "10.0.0.1:7100";
  data.net = "LeNet";
  data.now = absl::UnixEpoch();
  data.cluster.set_unix_ms(1'000'000);
  v1::JobStatus& job = data.job;
  job.set_job_id("lenet");
  job.set_state(v1::JOB_STATE_RUNNING);
  job.set_iteration(420);
  job.set_completed_iterations(420);
  job.set_max_iter(1000);
  job.set_loss(0.25);
  job.set_images_per_second(1234);
  job.set_eta_seconds(90);
  job.add_servers("10.0.0.2:7100");
  job.add_servers("10.0.0.3:7100");
  v1::TestReport* const test = job.add_tests();
  test->set_iteration(400);
  v1::NamedValue* const accuracy = test->add_outputs();
  accuracy->set_name("accuracy");
  accuracy->set_value(0.975);
  for (int i = 1; i <= 3; ++i) {
    v1::WorkerStatus* const worker = data.cluster.add_workers();
    worker->set_worker_id(static_cast<uint64_t>(i));
    worker->set_name(absl::StrCat("w", i));
    worker->set_state("computes");
    worker->add_leases(i == 3 ? "other: train 1..2" : "lenet: train 1..2");
  }
  data.cluster.add_servers()->set_address("10.0.0.2:7100");
  for (int i = 0; i <= 420; ++i) data.curve.push_back({static_cast<double>(i), 2.0 / (1 + i * 0.1)});
  v1::JobEvent event;
  event.set_text("the job has begun");
  data.events.push_back(event);
  return data;
}

std::vector<std::string> Texts(const std::vector<StyledLine>& lines) {
  std::vector<std::string> texts;
  for (const StyledLine& line : lines) texts.push_back(TextOf(line));
  return texts;
}

std::string Whole(const std::vector<StyledLine>& lines) { return absl::StrJoin(Texts(lines), "\n"); }

bool Has(const std::vector<StyledLine>& lines, const std::string& text) {
  return Whole(lines).find(text) != std::string::npos;
}

// The style of the line that has this text.
Style StyleOf(const std::vector<StyledLine>& lines, const std::string& text) {
  for (const StyledLine& line : lines) {
    for (const Piece& piece : line) {
      if (piece.text.find(text) != std::string::npos) return piece.style;
    }
  }
  FAIL("no such text: " << text);
  return Style::kPlain;
}

}  // namespace

TEST_CASE("a job's view has its progress, figures, tests, workers, servers and events") {
  ViewState state;
  const auto lines = JobView(RunningJob(), {30, 120, true}, &state);
  for (const char* const text :
       {"job lenet", "RUNNING", "420/1000  42%", "1 min 30 s left", "loss 0.25", "1234 images/s",
        "test #0 at 400:  accuracy 0.975", "w1 (1)", "w2 (2)", "10.0.0.2:7100", "the job has begun", "q quit"}) {
    INFO(text);
    CHECK(Has(lines, text));
  }
  // It works for another job.
  CHECK(!Has(lines, "w3 (3)"));
  // A share that is nowhere.
  CHECK(StyleOf(lines, "10.0.0.3:7100") == Style::kBad);
}

TEST_CASE("views fit terminals of every size") {
  JobViewData data = RunningJob();
  for (int i = 0; i < 40; ++i) data.cluster.add_problems(absl::StrCat("problem ", i, std::string(200, 'x')));
  for (int i = 0; i < 300; ++i) *data.cluster.add_workers() = data.cluster.workers(0);
  for (const bool utf8 : {true, false}) {
    for (const int rows : {1, 2, 5, 10, 24, 50, 200}) {
      for (const int columns : {1, 10, 40, 80, 300}) {
        ViewState state;
        for (const auto& lines :
             {JobView(data, {rows, columns, utf8}, &state), ClusterView(data, {rows, columns, utf8}, &state)}) {
          INFO(rows << " x " << columns);
          CHECK(static_cast<int>(lines.size()) == rows);
          for (const StyledLine& line : lines) CHECK(TextColumns(TextOf(line)) <= columns);
        }
      }
    }
  }
}

TEST_CASE("a view without UTF-8 draws with ASCII alone") {
  ViewState state;
  for (const char c : Whole(JobView(RunningJob(), {40, 100, false}, &state)))
    CHECK((c == '\n' || (c >= ' ' && c <= '~')));
}

TEST_CASE("problems and silence stand at the top, in the style of trouble") {
  JobViewData data = RunningJob();
  for (int i = 0; i < 5; ++i) data.cluster.add_problems(absl::StrCat("problem ", i));
  data.trouble = "no news for 4 s from the coordinator";
  ViewState state;
  const auto lines = JobView(data, {24, 80, true}, &state);
  CHECK(TextOf(lines[1]) == "! no news for 4 s from the coordinator");
  CHECK(TextOf(lines[2]) == "! problem 0");
  CHECK(TextOf(lines[4]) == "! and 3 more: samovar status");
  CHECK(lines[2][0].style == Style::kBad);
  // No figure of a coordinator that is silent is shown as current.
  CHECK(Has(lines, "0 images/s"));
  CHECK(!Has(lines, "1234 images/s"));
  CHECK(!Has(lines, "left"));
}

TEST_CASE("a long problem is shown whole where there is room") {
  JobViewData data = RunningJob();
  data.cluster.add_problems(
      "worker w1 (1) has had no answer from server 10.0.0.3:7100 for 12 s: its gradient waits there");
  ViewState state;
  const auto lines = JobView(data, {24, 60, true}, &state);
  CHECK(TextOf(lines[1]) == "! worker w1 (1) has had no answer from server 10.0.0.3:7100");
  CHECK(TextOf(lines[2]) == "  for 12 s: its gradient waits there");
}

TEST_CASE("rows say by their style which workers and servers are in trouble") {
  JobViewData data = RunningJob();
  data.cluster.mutable_workers(0)->set_silent_seconds(4);
  data.cluster.mutable_workers(2)->mutable_leases()->Clear();
  data.cluster.mutable_workers(2)->mutable_figures()->set_activity(v1::WORKER_ACTIVITY_WAITING_FOR_WEIGHTS);
  data.cluster.mutable_workers(2)->mutable_figures()->set_activity_seconds(5);
  data.cluster.mutable_workers(1)->set_straggler("slow: others do three times as much");
  data.cluster.mutable_servers(0)->mutable_figures()->set_last_error("no space left on device");
  ViewState state;
  const auto lines = JobView(data, {30, 160, true}, &state);
  CHECK(StyleOf(lines, "w1 (1)") == Style::kBad);
  CHECK(StyleOf(lines, "w2 (2)") == Style::kWarning);
  CHECK(StyleOf(lines, "w3 (3)") == Style::kWarning);
  CHECK(StyleOf(lines, "no space left") == Style::kWarning);
}

TEST_CASE("keys scroll the table that has them, and no further than it goes") {
  JobViewData data = RunningJob();
  data.cluster.clear_workers();
  for (int i = 1; i <= 100; ++i) {
    v1::WorkerStatus* const worker = data.cluster.add_workers();
    worker->set_worker_id(static_cast<uint64_t>(i));
    worker->set_name("w");
  }
  ViewState state;
  auto lines = JobView(data, {24, 80, true}, &state);
  CHECK(Has(lines, "w (1) "));
  CHECK(Has(lines, " of 100"));
  CHECK(TakeKey(static_cast<int>(Key::kEnd), &state));
  lines = JobView(data, {24, 80, true}, &state);
  CHECK(Has(lines, "w (100)"));
  CHECK(state.scrolled[0] < 100);
  // One up is seen at once.
  TakeKey(static_cast<int>(Key::kUp), &state);
  CHECK(!Has(JobView(data, {24, 80, true}, &state), "w (100)"));
  TakeKey(static_cast<int>(Key::kTab), &state);
  CHECK(state.focus == 1);
  CHECK(!TakeKey('x', &state));
  TakeKey('?', &state);
  CHECK(Has(JobView(data, {24, 80, true}, &state), "the job goes on"));
  TakeKey('q', &state);
  CHECK(state.quit);
}

TEST_CASE("the newest events are shown, and older ones by scrolling up the list") {
  JobViewData data = RunningJob();
  data.events.clear();
  for (int i = 0; i < 60; ++i) {
    v1::JobEvent event;
    event.set_text(absl::StrCat("event ", i, "\x1b[2J"));
    data.events.push_back(event);
  }
  ViewState state;
  const auto newest = JobView(data, {24, 80, true}, &state);
  CHECK(Has(newest, ":00  event 59\\x1b[2J"));
  // The head is wider than the column below it.
  CHECK(Has(newest, "\nevents "));
  CHECK(Has(newest, "-60 of 60"));
  state.focus = 2;
  TakeKey(static_cast<int>(Key::kEnd), &state);
  const auto lines = JobView(data, {24, 80, true}, &state);
  CHECK(Has(lines, "event 0\\x1b"));
  CHECK(!Has(lines, "event 59"));
}

TEST_CASE("a cluster's view has its jobs, workers and servers") {
  JobViewData data = RunningJob();
  *data.cluster.add_jobs() = data.job;
  v1::JobStatus* const failed = data.cluster.add_jobs();
  failed->set_job_id("alexnet");
  failed->set_state(v1::JOB_STATE_FAILED);
  failed->set_cause("loss is nan");
  ViewState state;
  const auto lines = ClusterView(data, {24, 120, true}, &state);
  for (const char* const text : {"nothing is wrong", "lenet", "42%", "loss is nan", "w3 (3)", "10.0.0.2:7100"}) {
    INFO(text);
    CHECK(Has(lines, text));
  }
  CHECK(StyleOf(lines, "alexnet") == Style::kBad);
}

TEST_CASE("a curve's plot has the course of the values, and is not pressed flat by the first ones") {
  std::vector<CurvePoint> points;
  for (int i = 0; i < 200; ++i) points.push_back({static_cast<double>(i), i < 2 ? 1e6 : 2.0 - i * 0.005});
  points.push_back({200, std::numeric_limits<double>::quiet_NaN()});
  const auto lines = Texts(PlotCurve(points, {5, 60, 0, 200, false}));
  REQUIRE(lines.size() == 5);
  CHECK(lines[0].substr(0, 9) == "    1.98 ");
  CHECK(lines[4].substr(0, 9) == "       1 ");
  // It falls: the last columns are at the bottom, the first ones at the top.
  CHECK(lines[0].find('*') < lines[4].find('*'));
  CHECK(lines[4].find_last_of('*') > lines[0].find_last_of('*'));
  CHECK(Texts(PlotCurve({}, {2, 60, 0, 1, true})) == std::vector<std::string>{"", ""});
  // One point, and points that are all the same.
  CHECK(PlotCurve({{5, 1}}, {3, 40, 5, 6, true}).size() == 3);
}

TEST_CASE("a bar is filled to its part") {
  CHECK(ProgressBar(0.5, 4, false) == "##..");
  CHECK(ProgressBar(2, 3, false) == "###");
  CHECK(ProgressBar(0.5, 1, true) == "\u258c");
  CHECK(TextColumns(ProgressBar(0.33, 10, true)) == 10);
}

TEST_CASE("columns are counted as terminals show them") {
  CHECK(TextColumns("abc") == 3);
  CHECK(TextColumns("Zürich") == 6);
  CHECK(TextColumns("e\u0301") == 1);
  CHECK(TextColumns("訓練") == 4);
  CHECK(CutText("訓練訓練", 5) == "訓練~");
  CHECK(PadText("ab", 4) == "ab  ");
  CHECK(PadText("ab", 4, true) == "  ab");
  CHECK(AsciiText("Zürich 訓") == "Z?rich ??");
}

TEST_CASE("a table leaves out what matters least where there is no room") {
  Table table;
  table.columns = {{"name"}, {"seldom", 9}, {"often", 1}, {"state"}};
  table.rows.push_back({{"w1", "12345", "67890", "waits for weights of a server"}});
  CHECK(Whole(ShowTable(table, {"workers", 0, 1}, 80)) ==
        "workers  seldom  often  state\nw1       12345   67890  waits for weights of a server");
  CHECK(Whole(ShowTable(table, {"workers", 0, 1}, 42)) ==
        "workers  often  state\nw1       67890  waits for weights of a se~");
}

}  // namespace samovar
